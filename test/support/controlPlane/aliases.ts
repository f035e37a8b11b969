import type { Actions } from './actions'
import { checkDescription } from './configuration'
import { ApiFault, refuse } from './fault'
import { findFunction, idleFunction, look, page, timeText } from './state'
import type { Account, AliasState, Configuration, FunctionState, VersionState } from './state'

type Names =
  | 'PublishVersion'
  | 'ListVersionByFunction'
  | 'CreateAlias'
  | 'UpdateAlias'
  | 'GetAlias'
  | 'DeleteAlias'
  | 'ListAliases'

/** Versions of functions, and the aliases that point to them. */
export const aliasActions = (account: Account): Pick<Actions, Names> => ({
  PublishVersion({ FunctionName, Namespace, Description = '' }) {
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.PublishVersion')
    const version: VersionState = {
      version: String(it.nextVersion++),
      status: account.busyPolls === 0 ? 'Active' : 'Publishing',
      pollsLeft: account.busyPolls,
      description: checkDescription(Description),
      configuration: structuredClone(it.configuration),
      code: it.code,
      addedMs: account.nowMs(),
    }
    it.versions.push(version)
    const { Handler, MemorySize, Timeout, Runtime } = version.configuration
    return {
      FunctionVersion: version.version,
      CodeSize: version.code.length,
      Description: version.description,
      Namespace: it.namespace,
      Handler,
      MemorySize,
      Timeout,
      Runtime,
    }
  },

  ListVersionByFunction({ FunctionName, Namespace, Offset, Limit, Order = 'DESC' }) {
    const it = findFunction(account, FunctionName, Namespace)
    const latest = { version: '$LATEST', description: it.configuration.Description, addedMs: it.addedMs }
    const all = [
      { ...latest, status: it.status as string },
      ...[...it.versions].sort((a, b) => Number(b.version) - Number(a.version)),
    ]
    if (Order === 'ASC') all.reverse()
    const Versions = page(all, Offset, Limit).map(({ version, description, status, addedMs }) => ({
      Version: version,
      Description: description,
      Status: status,
      AddTime: timeText(addedMs),
      ModTime: timeText(addedMs),
    }))
    return { Versions, FunctionVersion: Versions.map((each) => each.Version), TotalCount: all.length }
  },

  CreateAlias({ FunctionName, Namespace, Name, FunctionVersion, RoutingConfig, Description }) {
    const it = findFunction(account, FunctionName, Namespace)
    refuse(!/^[A-Za-z][\w-]{0,63}$/.test(Name), 'InvalidParameterValue.Name', `${Name} is no alias name.`)
    refuse(it.aliases.has(Name), 'ResourceInUse.Alias', `The alias ${Name} exists.`)
    const alias = newAlias(Name, FunctionVersion, account.nowMs())
    pointAlias(account, it, alias, { FunctionVersion, RoutingConfig, Description })
    it.aliases.set(Name, alias)
    return {}
  },

  UpdateAlias({ FunctionName, Namespace, Name, FunctionVersion, RoutingConfig, Description }) {
    const it = findFunction(account, FunctionName, Namespace)
    pointAlias(account, it, aliasOf(it, Name), { FunctionVersion, RoutingConfig, Description })
    return {}
  },

  GetAlias: ({ FunctionName, Namespace, Name }) =>
    readAlias(aliasOf(findFunction(account, FunctionName, Namespace), Name)),

  DeleteAlias({ FunctionName, Namespace, Name }) {
    const it = findFunction(account, FunctionName, Namespace)
    aliasOf(it, Name)
    const bound = Name === '$DEFAULT' || it.triggers.some((trigger) => trigger.qualifier === Name)
    refuse(bound, 'FailedOperation.DeleteAlias', `The alias ${Name} is in use.`)
    it.aliases.delete(Name)
    return {}
  },

  ListAliases({ FunctionName, Namespace, FunctionVersion, Offset, Limit }) {
    const it = findFunction(account, FunctionName, Namespace)
    const found = [...it.aliases.values()].filter(
      (alias) => FunctionVersion === undefined || versionsBehind(alias).includes(FunctionVersion),
    )
    return { Aliases: page(found, Offset, Limit).map(readAlias), TotalCount: found.length }
  },
})

/** What a version consists of; `$LATEST` is what can still be changed. */
export function versionOf(
  it: FunctionState,
  version: string,
): { configuration: Configuration; code: Buffer } {
  if (version === '$LATEST') return it
  const found = it.versions.find((each) => each.version === version)
  if (!found) throw new ApiFault('ResourceNotFound.FunctionVersion', `There is no version ${version}.`)
  return found
}

export function newAlias(name: string, version: string, nowMs: number): AliasState {
  const routing = { AdditionalVersionWeights: [], AddtionVersionMatchs: [] }
  return { name, version, routing, description: '', addedMs: nowMs, changedMs: nowMs }
}

function aliasOf(it: FunctionState, name: string): AliasState {
  const alias = it.aliases.get(name)
  if (!alias) throw new ApiFault('ResourceNotFound.Alias', `There is no alias ${name}.`)
  return alias
}

export const versionsBehind = ({ version, routing }: AliasState): string[] => [
  version,
  ...routing.AdditionalVersionWeights.map((each) => each.Version),
  ...routing.AddtionVersionMatchs.map((each) => each.Version),
]

type Aim = {
  FunctionVersion: string
  RoutingConfig: Parameters<Actions['UpdateAlias']>[0]['RoutingConfig']
  Description: string | undefined
}

/** Without RoutingConfig the routes stay as they are: whoever means none says so. Which of the two the API does is not documented. */
function pointAlias(account: Account, it: FunctionState, alias: AliasState, aim: Aim): void {
  const { AdditionalVersionWeights = [], AddtionVersionMatchs = [] } = aim.RoutingConfig ?? alias.routing
  const next = { AdditionalVersionWeights, AddtionVersionMatchs }
  const version = aim.FunctionVersion
  const extra = versionsBehind({ ...alias, version, routing: next }).slice(1)
  const wrong = 'InvalidParameterValue.AdditionalVersionWeights'
  refuse(extra.length > 1, wrong, 'An alias takes one additional version.')
  refuse(extra.includes(version), wrong, 'The additional version is the main version.')
  const weighed = AdditionalVersionWeights.every(({ Weight }) => Weight > 0 && Weight < 1)
  refuse(!weighed, wrong, 'A weight is a fraction between 0 and 1.')
  for (const each of [version, ...extra]) {
    versionOf(it, each)
    if (it.versions.find((one) => one.version === each)?.status === 'Publishing') {
      look(account, it)
      throw new ApiFault(
        'FailedOperation.FunctionVersionStatusNotActive',
        `Version ${each} is being published.`,
      )
    }
  }
  alias.version = version
  alias.routing = structuredClone(next)
  if (aim.Description !== undefined) alias.description = checkDescription(aim.Description)
  alias.changedMs = account.nowMs()
}

const readAlias = (alias: AliasState) => ({
  Name: alias.name,
  FunctionVersion: alias.version,
  RoutingConfig: alias.routing,
  Description: alias.description,
  AddTime: timeText(alias.addedMs),
  ModTime: timeText(alias.changedMs),
})

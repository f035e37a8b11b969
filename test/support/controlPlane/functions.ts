import type { Code } from 'tencentcloud-sdk-nodejs-scf/tencentcloud/services/scf/v20180416/scf_models'
import type { Actions } from './actions'
import { newAlias, versionOf, versionsBehind } from './aliases'
import { applyConfiguration } from './configuration'
import { ApiFault, refuse } from './fault'
import { begin, findFunction, hexOf, idleFunction, keyOf, look, page, timeText } from './state'
import type { Account, FunctionState } from './state'
import { readTrigger } from './triggers'
import { readZip } from './zip'

const FUNCTIONS_PER_NAMESPACE = 50
const RESERVABLE_MB = 128_000 - 12_800

type Names =
  | 'CreateFunction'
  | 'UpdateFunctionCode'
  | 'UpdateFunctionConfiguration'
  | 'GetFunction'
  | 'GetFunctionAddress'
  | 'ListFunctions'
  | 'DeleteFunction'
  | 'DeleteFunctionVersion'
  | 'PutReservedConcurrencyConfig'
  | 'GetReservedConcurrencyConfig'
  | 'DeleteReservedConcurrencyConfig'

/** Functions: what they run, how, and how much is kept free for them. */
export const functionActions = (account: Account): Pick<Actions, Names> => ({
  CreateFunction(request) {
    const { FunctionName: name, Namespace: namespace = 'default' } = request
    const lawful = /^[A-Za-z][\w-]{0,58}[A-Za-z0-9]$/.test(name ?? '')
    refuse(!lawful, 'InvalidParameterValue.FunctionName', `${name} is no function name.`)
    refuse(account.functions.has(keyOf(name, namespace)), 'ResourceInUse.FunctionName', `${name} exists.`)
    refuse(account.functions.size >= FUNCTIONS_PER_NAMESPACE, 'LimitExceeded.Function')
    refuse(
      namespace !== 'default',
      'ResourceNotFound.Namespace',
      `The namespace ${namespace} does not exist.`,
    )
    const nowMs = account.nowMs()
    const configuration = applyConfiguration(undefined, request)
    configuration.Handler = checkHandler(request.Handler)
    const it: FunctionState = {
      name,
      namespace,
      id: account.newId('lam-'),
      type: request.Type ?? 'Event',
      status: 'Active',
      available: 'Available',
      pollsLeft: 0,
      configuration,
      code: readCode(request.Code),
      tags: structuredClone(request.Tags ?? []),
      versions: [],
      nextVersion: 1,
      // It is there from the start and cannot be made: names of aliases begin with a letter.
      aliases: new Map([['$DEFAULT', newAlias('$DEFAULT', '$LATEST', nowMs)]]),
      triggers: [],
      reservedMem: undefined,
      addedMs: nowMs,
      changedMs: nowMs,
    }
    account.functions.set(keyOf(name, namespace), it)
    begin(account, it, 'Creating')
    return {}
  },

  UpdateFunctionCode(request) {
    const { FunctionName, Namespace, Handler, ZipFile } = request
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.UpdateFunctionCode')
    const code = readCode(request.Code ?? (ZipFile === undefined ? {} : { ZipFile }))
    it.configuration.Handler = checkHandler(Handler ?? it.configuration.Handler)
    it.code = code
    begin(account, it, 'Updating')
    return {}
  },

  UpdateFunctionConfiguration(request) {
    const { FunctionName, Namespace } = request
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.UpdateFunctionConfiguration')
    it.configuration = applyConfiguration(it.configuration, request)
    begin(account, it, 'Updating')
    return {}
  },

  GetFunction({ FunctionName, Namespace, Qualifier = '$LATEST' }) {
    const it = findFunction(account, FunctionName, Namespace)
    const answer = describe(it, Qualifier)
    look(account, it)
    return answer
  },

  GetFunctionAddress({ FunctionName, Namespace, Qualifier = '$LATEST' }) {
    const { code } = versionOf(findFunction(account, FunctionName, Namespace), Qualifier)
    return { Url: `${account.url}/code/${hexOf(code)}.zip`, CodeSha256: hexOf(code) }
  },

  ListFunctions({
    Namespace = 'default',
    SearchKey = '',
    Offset,
    Limit,
    Filters = [],
    Order = 'DESC',
    Orderby,
  }) {
    for (const { Name } of Filters) {
      refuse(!Name.startsWith('tag-'), 'UnsupportedOperation', `The fake does not filter by ${Name}.`)
    }
    const tagged = (it: FunctionState) =>
      Filters.every(({ Name, Values }) =>
        it.tags.some(({ Key, Value }) => Name === `tag-${Key}` && Values.includes(Value)),
      )
    const found = [...account.functions.values()]
      .filter((it) => it.namespace === Namespace && it.name.includes(SearchKey) && tagged(it))
      .sort(by(Orderby === 'FunctionName' ? (it) => it.name : (it) => it.addedMs, Order))
    const list = page(found, Offset, Limit).map((it) => ({
      FunctionName: it.name,
      FunctionId: it.id,
      Namespace: it.namespace,
      Runtime: it.configuration.Runtime,
      Type: it.type,
      Status: it.status,
      StatusDesc: '',
      StatusReasons: [],
      Description: it.configuration.Description,
      Tags: it.tags,
      ReservedConcurrencyMem: it.reservedMem ?? 0,
      TotalProvisionedConcurrencyMem: 0,
      AddTime: timeText(it.addedMs),
      ModTime: timeText(it.changedMs),
    }))
    return { Functions: list, TotalCount: found.length }
  },

  DeleteFunction({ FunctionName, Namespace, Qualifier }) {
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.DeleteFunction')
    if (Qualifier !== undefined) deleteVersion(it, Qualifier)
    else begin(account, it, 'Deleting')
    return {}
  },

  DeleteFunctionVersion({ FunctionName, Namespace, Qualifier }) {
    deleteVersion(idleFunction(account, FunctionName, Namespace, 'FailedOperation.DeleteFunction'), Qualifier)
    return {}
  },

  PutReservedConcurrencyConfig({ FunctionName, Namespace, ReservedConcurrencyMem }) {
    const it = findFunction(account, FunctionName, Namespace)
    const whole = Number.isInteger(ReservedConcurrencyMem) && ReservedConcurrencyMem >= 0
    refuse(!whole, 'InvalidParameterValue', 'ReservedConcurrencyMem is a number of MB.')
    const others = [...account.functions.values()].filter((other) => other !== it)
    const taken = others.reduce((sum, { reservedMem = 0 }) => sum + reservedMem, ReservedConcurrencyMem)
    refuse(taken > RESERVABLE_MB, 'LimitExceeded.FunctionReservedConcurrencyMemory')
    it.reservedMem = ReservedConcurrencyMem
    return {}
  },

  GetReservedConcurrencyConfig({ FunctionName, Namespace }) {
    const { reservedMem } = findFunction(account, FunctionName, Namespace)
    return reservedMem === undefined ? {} : { ReservedMem: reservedMem }
  },

  DeleteReservedConcurrencyConfig({ FunctionName, Namespace }) {
    findFunction(account, FunctionName, Namespace).reservedMem = undefined
    return {}
  },
})

function by<T>(key: (it: T) => string | number, order: string): (a: T, b: T) => number {
  const sign = order === 'ASC' ? 1 : -1
  return (a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0)
}

function describe(it: FunctionState, qualifier: string) {
  const { configuration, code } = versionOf(it, qualifier)
  const published = it.versions.find((version) => version.version === qualifier)
  const { Variables, PublicNetConfig, IgnoreSysLog: _, ...rest } = configuration
  const { EipStatus, EipAddress } = PublicNetConfig.EipConfig
  return {
    ...rest,
    FunctionName: it.name,
    FunctionId: it.id,
    Namespace: it.namespace,
    Type: it.type,
    FunctionVersion: qualifier,
    Qualifier: qualifier,
    Status: published?.status ?? it.status,
    StatusDesc: '',
    StatusReasons: [],
    AvailableStatus: it.available,
    Environment: { Variables },
    PublicNetConfig,
    EipConfig: { EipFixed: EipStatus === 'ENABLE' ? 'TRUE' : 'FALSE', Eips: EipAddress },
    CodeSize: code.length,
    CodeResult: 'success',
    CodeError: '',
    CodeInfo: '',
    ErrNo: 0,
    Tags: it.tags,
    Layers: [],
    Triggers: it.triggers.filter((trigger) => trigger.qualifier === qualifier).map(readTrigger),
    InstallDependency: 'FALSE',
    AsyncRunEnable: 'FALSE',
    TraceEnable: 'FALSE',
    AddTime: timeText(it.addedMs),
    ModTime: timeText(it.changedMs),
  }
}

function checkHandler(handler: string | undefined): string {
  const lawful = /^[A-Za-z][\w-]{0,58}[A-Za-z0-9]\.[A-Za-z][\w-]{0,58}[A-Za-z0-9]$/.test(handler ?? '')
  if (!lawful) throw new ApiFault('InvalidParameterValue.Handler', `${handler} is no handler.`)
  return handler!
}

function readCode(code: Code | undefined): Buffer {
  if (!code || Object.keys(code).length === 0) throw new ApiFault('MissingParameter.Code', 'Code is missing.')
  const { ZipFile } = code
  refuse(ZipFile === undefined, 'UnsupportedOperation', 'The fake takes code as ZipFile only.')
  const bytes = Buffer.from(ZipFile!, 'base64')
  const canonical = bytes.toString('base64') === ZipFile
  refuse(!canonical, 'InvalidParameterValue.ZipFileBase64BinasciiError', 'ZipFile is not base64.')
  const outside = readZip(bytes).find(({ name }) => name.startsWith('/') || name.split('/').includes('..'))
  refuse(outside !== undefined, 'InvalidParameterValue.ZipFile', `${outside?.name} lies outside of the zip.`)
  return bytes
}

function deleteVersion(it: FunctionState, version: string): void {
  refuse(version === '$LATEST', 'InvalidParameterValue.Qualifier', '$LATEST goes with the function.')
  versionOf(it, version)
  const bound = [...it.aliases.values()].some((alias) => versionsBehind(alias).includes(version))
  refuse(bound, 'UnsupportedOperation.AliasBind', `An alias points to version ${version}.`)
  it.versions = it.versions.filter((each) => each.version !== version)
}

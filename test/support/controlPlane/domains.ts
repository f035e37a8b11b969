import type {
  DomainInfo,
  EndpointsConf,
} from 'tencentcloud-sdk-nodejs-scf/tencentcloud/services/scf/v20180416/scf_models'
import type { Actions } from './actions'
import { ApiFault, refuse } from './fault'
import { findFunction, page } from './state'
import type { Account } from './state'

type Names =
  'CreateCustomDomain' | 'UpdateCustomDomain' | 'GetCustomDomain' | 'DeleteCustomDomain' | 'ListCustomDomains'

/** Custom domains: one address in front of many functions. */
export const domainActions = (account: Account): Pick<Actions, Names> => ({
  CreateCustomDomain(request) {
    const name = request.Domain ?? ''
    refuse(!/^([a-z0-9-]+\.)+[a-z]{2,}$/.test(name), 'InvalidParameterValue', `${name} is no domain.`)
    refuse(account.domains.has(name), 'ResourceInUse', `The domain ${name} exists.`)
    account.domains.set(name, check(account, structuredClone(request)))
    return {}
  },

  UpdateCustomDomain(request) {
    const before = domainOf(account, request.Domain)
    account.domains.set(request.Domain, check(account, { ...before, ...structuredClone(request) }))
    return {}
  },

  GetCustomDomain: ({ Domain }) => domainOf(account, Domain),

  DeleteCustomDomain({ Domain }) {
    domainOf(account, Domain)
    account.domains.delete(Domain!)
    return {}
  },

  ListCustomDomains({ Offset, Limit }) {
    const all = [...account.domains.values()]
    return { Domains: page(all, Offset, Limit), Total: all.length }
  },
})

function domainOf(account: Account, name: string | undefined): DomainInfo {
  const found = account.domains.get(name ?? '')
  if (!found) throw new ApiFault('ResourceNotFound', `The domain ${name} does not exist.`)
  return found
}

function check(account: Account, domain: DomainInfo): DomainInfo {
  const { Protocol = '', EndpointsConfig, CertConfig } = domain
  refuse(!['HTTP', 'HTTPS', 'HTTP&HTTPS'].includes(Protocol), 'InvalidParameterValue', 'Protocol')
  const bare = Protocol.includes('HTTPS') && !CertConfig?.CertificateId
  refuse(bare, 'InvalidParameterValue', 'HTTPS needs CertConfig.CertificateId.')
  refuse(!EndpointsConfig?.length, 'MissingParameter', 'EndpointsConfig is missing.')
  const paths = new Set<string>()
  for (const endpoint of EndpointsConfig!) {
    checkEndpoint(account, endpoint)
    refuse(paths.has(endpoint.PathMatch), 'InvalidParameterValue', `${endpoint.PathMatch} is there twice.`)
    paths.add(endpoint.PathMatch)
  }
  return domain
}

function checkEndpoint(
  account: Account,
  { Namespace, FunctionName, Qualifier, PathMatch }: EndpointsConf,
): void {
  const it = findFunction(account, FunctionName, Namespace)
  const known = it.aliases.has(Qualifier) || it.versions.some((version) => version.version === Qualifier)
  refuse(!known && Qualifier !== '$LATEST', 'ResourceNotFound.Qualifier', `${FunctionName}: ${Qualifier}`)
  const lawful = /^\/([\w.~-]+\/)*([\w.~-]+|\*)?$/.test(PathMatch)
  refuse(!lawful, 'InvalidParameterValue', `${PathMatch}: PathMatch is a path that may end in /*.`)
}

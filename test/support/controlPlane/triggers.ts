import type { Actions } from './actions'
import { ApiFault, refuse } from './fault'
import { findFunction, idleFunction, page, timeText } from './state'
import type { Account, FunctionState, TriggerState } from './state'

const TRIGGERS_PER_TYPE = 10

type Names = 'CreateTrigger' | 'UpdateTrigger' | 'UpdateTriggerStatus' | 'DeleteTrigger' | 'ListTriggers'

/** Timers and function URLs. */
export const triggerActions = (account: Account): Pick<Actions, Names> => ({
  CreateTrigger(request) {
    const { FunctionName, Namespace, Type, TriggerName, TriggerDesc = '', Qualifier = '$LATEST' } = request
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.CreateTrigger')
    const type = typeOf(Type)
    checkQualifier(it, Qualifier)
    const same = it.triggers.filter((trigger) => trigger.type === type)
    refuse(same.length >= TRIGGERS_PER_TYPE, 'LimitExceeded.Trigger')
    refuse(
      !/^[\w-]{1,100}$/.test(TriggerName),
      'InvalidParameterValue.TriggerName',
      `${TriggerName} is no name.`,
    )
    if (type === 'http') {
      const taken = same.some((trigger) => trigger.qualifier === Qualifier)
      refuse(taken, 'ResourceInUse.Trigger', `${Qualifier} has a URL.`)
    } else {
      const taken = same.some((trigger) => trigger.name === TriggerName)
      refuse(taken, 'ResourceInUse.TriggerName', `The trigger ${TriggerName} exists.`)
    }
    // The name of a URL is the platform's to choose: it is the part of the host that differs.
    const name = type === 'http' ? account.newId('') : TriggerName
    const nowMs = account.nowMs()
    const trigger: TriggerState = {
      type,
      name,
      qualifier: Qualifier,
      desc: readDesc(account, type, name, TriggerDesc),
      argument: argumentOf(type, request.CustomArgument),
      description: request.Description ?? '',
      open: isOpen(request.Enable ?? 'OPEN'),
      addedMs: nowMs,
      changedMs: nowMs,
    }
    it.triggers.push(trigger)
    const told = readTrigger(trigger)
    if (type !== 'http' || !account.tellsUrlLate) return { TriggerInfo: told }
    const { NetConfig: _, ...rest } = trigger.desc
    return { TriggerInfo: { ...told, TriggerDesc: JSON.stringify(rest) } }
  },

  UpdateTrigger(request) {
    const { FunctionName, Namespace, Type, TriggerName, Qualifier, TriggerDesc } = request
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.UpdateTrigger')
    const trigger = findTrigger(it, Type, TriggerName, Qualifier)
    if (TriggerDesc !== undefined) trigger.desc = readDesc(account, trigger.type, trigger.name, TriggerDesc)
    if (request.CustomArgument !== undefined) {
      trigger.argument = argumentOf(trigger.type, request.CustomArgument)
    }
    if (request.Description !== undefined) trigger.description = request.Description
    if (request.Enable !== undefined) trigger.open = isOpen(request.Enable)
    trigger.changedMs = account.nowMs()
    return {}
  },

  UpdateTriggerStatus({ FunctionName, Namespace, Type, TriggerName, Qualifier, Enable }) {
    const it = findFunction(account, FunctionName, Namespace)
    const trigger = findTrigger(it, Type, TriggerName, Qualifier)
    refuse(trigger.type === 'http', 'UnsupportedOperation.Trigger', 'This action does not know http.')
    trigger.open = isOpen(Enable)
    trigger.changedMs = account.nowMs()
    return {}
  },

  DeleteTrigger({ FunctionName, Namespace, Type, TriggerName, Qualifier }) {
    const it = idleFunction(account, FunctionName, Namespace, 'FailedOperation.DeleteTrigger')
    const trigger = findTrigger(it, Type, TriggerName, Qualifier)
    const leads = [...account.domains.values()].some(({ EndpointsConfig = [] }) =>
      EndpointsConfig.some((one) => one.FunctionName === it.name && one.Qualifier === trigger.qualifier),
    )
    refuse(
      trigger.type === 'http' && leads,
      'FailedOperation.DeleteTrigger.UrlUsed',
      'The URL is used by a custom domain.',
    )
    it.triggers = it.triggers.filter((each) => each !== trigger)
    return {}
  },

  ListTriggers({ FunctionName, Namespace, Offset, Limit, Order = 'DESC', Filters = [] }) {
    const it = findFunction(account, FunctionName, Namespace)
    const fields: Record<string, (trigger: TriggerState) => string> = {
      Qualifier: (trigger) => trigger.qualifier,
      TriggerName: (trigger) => trigger.name,
      Description: (trigger) => trigger.description,
    }
    refuse(
      Filters.some(({ Name }) => !(Name in fields)),
      'InvalidParameterValue.Filters',
    )
    const found = it.triggers.filter((trigger) =>
      Filters.every(({ Name, Values }) => Values.includes(fields[Name]!(trigger))),
    )
    if (Order !== 'ASC') found.reverse()
    return { Triggers: page(found, Offset, Limit).map(readTrigger), TotalCount: found.length }
  },
})

function typeOf(type: string): TriggerState['type'] {
  if (type === 'timer' || type === 'http') return type
  throw new ApiFault('InvalidParameterValue.Type', `The fake has no triggers of the type ${type}.`)
}

function checkQualifier(it: FunctionState, qualifier: string): void {
  const known =
    qualifier === '$LATEST' ||
    it.aliases.has(qualifier) ||
    it.versions.some((version) => version.version === qualifier)
  refuse(!known, 'ResourceNotFound.Qualifier', `There is no version or alias ${qualifier}.`)
}

function findTrigger(it: FunctionState, type: string, name: string, qualifier = '$LATEST'): TriggerState {
  const found = it.triggers.find(
    (trigger) => trigger.type === typeOf(type) && trigger.name === name && trigger.qualifier === qualifier,
  )
  if (!found) throw new ApiFault('ResourceNotFound.Trigger', `${qualifier} has no ${type} trigger ${name}.`)
  return found
}

function isOpen(enable: string): boolean {
  refuse(enable !== 'OPEN' && enable !== 'CLOSE', 'InvalidParameterValue.Enable')
  return enable === 'OPEN'
}

function argumentOf(type: TriggerState['type'], argument = ''): string {
  refuse(argument !== '' && type !== 'timer', 'InvalidParameterValue.CustomArgument', 'Only timers take one.')
  refuse(Buffer.byteLength(argument) > 4096, 'InvalidParameterValue.CustomArgument')
  return argument
}

/** What a trigger's description reads back as: it gains the URL's addresses, or a name for the bare cron. */
function readDesc(
  account: Account,
  type: TriggerState['type'],
  name: string,
  text: string,
): Record<string, unknown> {
  if (type === 'timer') {
    refuse(!isCron(text), 'InvalidParameterValue.TriggerDesc', `${text} is no cron of seven fields.`)
    return { cron: text }
  }
  let given: Record<string, unknown>
  try {
    given = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw new ApiFault('InvalidParameterValue.TriggerDesc', 'TriggerDesc is not JSON.')
  }
  const known = ['AuthType', 'NetConfig', 'CorsConfig', 'ApiGwCompatible', 'EnableSimpleMode']
  const stray = Object.keys(given).find((key) => !known.includes(key))
  refuse(stray !== undefined, 'InvalidParameterValue.TriggerDesc', `${stray} is not known.`)
  refuse(given['AuthType'] !== 'NONE' && given['AuthType'] !== 'CAM', 'InvalidParameterValue.TriggerDesc')
  const net = (given['NetConfig'] ?? {}) as { EnableIntranet?: boolean; EnableExtranet?: boolean }
  const host = (zone: string) => `${account.appId}-${name}.${zone}${account.region}.tencentscf.com`
  const extranet = net.EnableExtranet
    ? { ExtranetUrl: `https://${host('')}`, ExtranetHTTPUrl: `http://${host('')}` }
    : { ExtranetUrl: '' }
  const intranet = net.EnableIntranet
    ? { IntranetUrl: `https://${host('in.')}`, IntranetHTTPUrl: `http://${host('in.')}` }
    : {}
  const NetConfig = {
    EnableIntranet: net.EnableIntranet ?? false,
    EnableExtranet: net.EnableExtranet ?? false,
    ...intranet,
    ...extranet,
  }
  return { CorsConfig: { Enable: false }, ...given, NetConfig }
}

const isCron = (text: string) => {
  const fields = text.split(' ')
  return (
    fields.length === 7 && fields.every((field) => /^(\*|\?|[\d,\-A-Z]+|(\*|\d+(-\d+)?)\/\d+)$/.test(field))
  )
}

export const readTrigger = (trigger: TriggerState) => ({
  Type: trigger.type,
  TriggerName: trigger.name,
  Qualifier: trigger.qualifier,
  TriggerDesc: JSON.stringify(trigger.desc),
  CustomArgument: trigger.argument,
  Description: trigger.description,
  Enable: trigger.open ? 1 : 0,
  AvailableStatus: 'Available',
  AddTime: timeText(trigger.addedMs),
  ModTime: timeText(trigger.changedMs),
})

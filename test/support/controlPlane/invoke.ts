import type { Actions } from './actions'
import { ApiFault, refuse } from './fault'
import { findFunction, timeText } from './state'
import type { Account, FunctionState } from './state'
import { versionOf } from './aliases'

type Names = 'Invoke' | 'GetRequestStatus' | 'GetFunctionLogs'

/** Invocations, answered by whoever the test has named. */
export const invokeActions = (account: Account): Pick<Actions, Names> => ({
  async Invoke({ FunctionName, Namespace, Qualifier = '$LATEST', ClientContext = '{}', InvocationType }) {
    const it = findFunction(account, FunctionName, Namespace)
    resolveQualifier(it, Qualifier)
    refuse(it.status === 'Creating' || it.status === 'Deleting', 'FailedOperation.InvokeFunction')
    refuse(InvocationType === 'Event', 'UnsupportedOperation', 'The fake invokes synchronously.')
    let event: unknown
    try {
      event = JSON.parse(ClientContext)
    } catch {
      throw new ApiFault('InvalidParameter.Payload', 'ClientContext is not JSON.')
    }
    const FunctionRequestId = account.newId('request-')
    const result = await run(account, it.name, event, Qualifier)
    account.invocations.push({
      functionName: it.name,
      qualifier: Qualifier,
      requestId: FunctionRequestId,
      atMs: account.nowMs(),
      retMsg: result.RetMsg,
      failed: result.InvokeResult !== 0,
    })
    return { Result: { ...result, FunctionRequestId, Duration: 1, BillDuration: 1, MemUsage: 3207168 } }
  },

  GetRequestStatus({ FunctionName, Namespace, FunctionRequestId }) {
    const { name } = findFunction(account, FunctionName, Namespace)
    const Data = account.invocations
      .filter((one) => one.functionName === name && one.requestId === FunctionRequestId)
      .map((one) => ({
        FunctionName: name,
        RetMsg: one.retMsg,
        RequestId: one.requestId,
        StartTime: timeText(one.atMs),
        RetCode: one.failed ? -1 : 0,
        Duration: 1,
        MemUsage: 3,
        RetryNum: 0,
      }))
    return { Data, TotalCount: Data.length }
  },

  GetFunctionLogs() {
    throw new ApiFault('ActionOffline', 'This API is offline; logs are in the log service.')
  },
})

/** A version, or the version behind an alias. */
function resolveQualifier(it: FunctionState, qualifier: string): void {
  versionOf(it, it.aliases.get(qualifier)?.version ?? qualifier)
}

async function run(account: Account, name: string, event: unknown, qualifier: string) {
  const failed = (errorMessage: string) => {
    const message = JSON.stringify({ errorCode: 1, errorMessage, requestId: '', statusCode: 430 })
    return { RetMsg: message, ErrMsg: message, Log: '', InvokeResult: 1 }
  }
  const answer = account.answers.get(name)
  if (!answer) return failed(`the test has not said what ${name} answers`)
  try {
    const value = await answer(event, qualifier)
    return { RetMsg: JSON.stringify(value) ?? 'null', ErrMsg: '', Log: '', InvokeResult: 0 }
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
}

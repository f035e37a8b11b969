import type { ControlPlane } from './controlPlane'
import { DeployFault } from './fault'

export type Answer = { value: unknown; log: string; requestId: string }

/** Calls a deployed function and waits for its answer. An error of the function is a fault here. */
export async function invoke(
  call: ControlPlane,
  namespace: string,
  name: string,
  qualifier: string,
  event: unknown,
): Promise<Answer> {
  const { Result } = await call('Invoke', {
    FunctionName: name,
    Namespace: namespace,
    Qualifier: qualifier,
    InvocationType: 'RequestResponse',
    ClientContext: JSON.stringify(event),
    LogType: 'Tail',
  })
  const requestId = Result?.FunctionRequestId ?? ''
  if (Result?.ErrMsg || Result?.InvokeResult) {
    throw new DeployFault(
      `${name} failed: ${messageOf(Result.ErrMsg || Result.RetMsg || '')} (function request ${requestId})`,
      'FUNCTION_ERROR',
      requestId,
    )
  }
  return { value: parse(Result?.RetMsg ?? ''), log: Result?.Log ?? '', requestId }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** The platform wraps what was thrown. */
function messageOf(text: string): string {
  const said = parse(text) as { errorMessage?: unknown } | null
  return typeof said?.errorMessage === 'string' ? said.errorMessage : text
}

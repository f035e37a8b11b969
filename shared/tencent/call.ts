import { isUtf8 } from 'node:buffer'
import type { Clock } from '../base/time'
import { NetFault, type Post } from '../net/post'
import { tc3Authorization, type Credential } from './tc3'

/** One call to a Tencent Cloud API, on built-ins: a function pays 3 ms for this and 44 for a product's SDK. */
export type TencentApi = {
  /** `https://ssm.tencentcloudapi.com/`. */
  endpoint: string
  service: string
  version: string
  region: string
}

/** The API's own code (`AuthFailure.SignatureFailure`), or what became of the network. Never the request. */
export class TencentFault extends Error {
  override readonly name = 'TencentFault'

  constructor(
    readonly code: string,
    readonly requestId?: string,
    options?: ErrorOptions,
  ) {
    super(requestId === undefined ? code : `${code} (request ${requestId})`, options)
  }
}

const CONTENT_TYPE = 'application/json; charset=utf-8'
const ANSWER_MAX_BYTES = 256 * 1024

export async function callTencent(
  { post, clock }: { post: Post; clock: Clock },
  { endpoint, service, version, region }: TencentApi,
  credential: Credential,
  action: string,
  parameters: object,
  timeoutMs: number,
): Promise<Record<string, unknown>> {
  const body = Buffer.from(JSON.stringify(parameters))
  const nowS = Math.floor(clock.nowMs() / 1000)
  const { host } = new URL(endpoint)
  const headers = {
    'content-type': CONTENT_TYPE,
    host,
    authorization: tc3Authorization(credential, { host, service, contentType: CONTENT_TYPE, body, nowS }),
    'x-tc-action': action,
    'x-tc-version': version,
    'x-tc-region': region,
    'x-tc-timestamp': String(nowS),
    ...(credential.token ? { 'x-tc-token': credential.token } : {}),
  }
  let answer
  try {
    answer = await post(endpoint, body, { timeoutMs, answerMaxBytes: ANSWER_MAX_BYTES, headers })
  } catch (error) {
    throw error instanceof NetFault ? new TencentFault(error.code, undefined, { cause: error }) : error
  }
  return readAnswer(answer.status, answer.body)
}

/** Errors come with status 200 as well, inside `Response`. */
function readAnswer(status: number, body: Buffer): Record<string, unknown> {
  let response: unknown
  try {
    response = isUtf8(body)
      ? (JSON.parse(body.toString('utf8')) as { Response?: unknown } | null)?.Response
      : undefined
  } catch {
    response = undefined
  }
  if (typeof response !== 'object' || response === null) {
    throw new TencentFault(status === 200 ? 'answer_malformed' : `http_${status}`)
  }
  const { Error: error, RequestId: requestId } = response as {
    Error?: { Code?: unknown }
    RequestId?: unknown
  }
  if (error) {
    throw new TencentFault(
      typeof error.Code === 'string' ? error.Code : 'answer_malformed',
      typeof requestId === 'string' ? requestId : undefined,
    )
  }
  return response as Record<string, unknown>
}

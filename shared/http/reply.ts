import { FAULTS, type Fault } from '../base/errors'
import type { ReplyForm } from '../base/config'
import { json, type HttpAnswer } from './answer'

/**
 * What Cloud Pay reads from us (product/569/11609): `status` 0, or anything else for "failed or retry". One public
 * face for every refusal: who forges learns nothing from it.
 */
export function acknowledge(requestId: string, form: ReplyForm = 'object'): HttpAnswer {
  const heard = { status: 0, description: 'OK' }
  return json(200, { response_content: form === 'text' ? JSON.stringify(heard) : heard }, requestId)
}

export function refuseNotification(fault: Fault, requestId: string): HttpAnswer {
  const ours = FAULTS[fault.code].status >= 500
  const description = ours ? 'try again' : 'refused'
  return json(ours ? 503 : 401, { response_content: { status: 1, description } }, requestId)
}

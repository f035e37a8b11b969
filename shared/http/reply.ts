import { FAULTS, type Fault } from '../base/errors'
import { json, type HttpAnswer } from './answer'

/**
 * What Cloud Pay reads from us (product/569/11609): `status` 0, or anything else for "failed or retry". One public
 * face for every refusal: who forges learns nothing from it.
 */
export const acknowledge = (requestId: string): HttpAnswer =>
  json(200, { response_content: { status: 0, description: 'OK' } }, requestId)

export function refuseNotification(fault: Fault, requestId: string): HttpAnswer {
  const ours = FAULTS[fault.code].status >= 500
  const description = ours ? 'try again' : 'refused'
  return json(ours ? 503 : 401, { response_content: { status: 1, description } }, requestId)
}

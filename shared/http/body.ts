import { Fault } from '../base/errors'
import { parseStrictJson } from '../base/json'
import { flaw, said } from '../base/validate'
import { bodyText, type HttpRequest } from './event'

const TRAPS = {
  duplicate_key: said('is given twice', '出现了两次'),
  forbidden_key: said('is a name no field may have', '不能用作字段名'),
  too_deep: said('the body is nested too deeply', '请求体嵌套过深'),
} as const

/** The body as a JSON object. Throws the Faults `body_not_utf8`, `body_not_json` and `body_invalid`. */
export function readJsonBody(request: HttpRequest): Record<string, unknown> {
  const parsed = parseStrictJson(bodyText(request))
  if (!parsed.ok) {
    if (parsed.code === 'not_json') throw new Fault('body_not_json')
    throw new Fault('body_invalid', { fields: [flaw(parsed.field, parsed.code, TRAPS[parsed.code])] })
  }
  const { value } = parsed
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Fault('body_not_json')
  return value as Record<string, unknown>
}

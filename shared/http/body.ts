import { Fault } from '../base/errors'
import { parseStrictJson } from '../base/json'
import { bodyText, type HttpRequest } from './event'

const TRAPS = {
  duplicate_key: 'is given twice',
  forbidden_key: 'is a name no field may have',
  too_deep: 'the body is nested too deeply',
} as const

/** The body as a JSON object. Throws the Faults `body_not_utf8`, `body_not_json` and `body_invalid`. */
export function readJsonBody(request: HttpRequest): Record<string, unknown> {
  const parsed = parseStrictJson(bodyText(request))
  if (!parsed.ok) {
    if (parsed.code === 'not_json') throw new Fault('body_not_json')
    throw new Fault('body_invalid', {
      fields: [{ field: parsed.field, code: parsed.code, message: TRAPS[parsed.code] }],
    })
  }
  const { value } = parsed
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Fault('body_not_json')
  return value as Record<string, unknown>
}

import { isUtf8 } from 'node:buffer'
import { Fault } from '../base/errors'
import { flaw, isWellFormed, said, type Said } from '../base/validate'

/**
 * One reader for every shape in which SCF hands over an HTTP request: the Function URL's (documented: body, headers,
 * httpMethod, path, queryString, nothing else), API Gateway's, and the mixture `ApiGwCompatible` may give.
 */
export type HttpRequest = {
  method: string
  path: string
  /** Path parameters, filled in by the route. */
  params: Record<string, string>
  query: Record<string, string>
  /** Lower-case names. Platform headers (`x-scf-*`) are left out: they may carry credentials and can be forged. */
  headers: Record<string, string>
  /**
   * Where it came from, as far as the platform tells: a hint for limits, never proof of anything. Undefined when it does
   * not tell; those requests have nothing in common.
   */
  address: string | undefined
  /** The bytes as they came. Signatures are checked over these. */
  body: Buffer
}

export const BODY_MAX_BYTES = 64 * 1024
/** Of a login, which anybody may send: what belongs into it is below 1 KB. */
export const LOGIN_BODY_MAX_BYTES = 4 * 1024
/** Of names and values together, in UTF-16 units. What a wallet, a mini-program or a server sends is far below. */
export const PATH_MAX_CHARACTERS = 1024
export const QUERY_MAX_CHARACTERS = 4 * 1024
export const HEADERS_MAX_CHARACTERS = 32 * 1024
/** Names in the query, and among the headers. */
export const NAMES_MAX = 100

type Loose = Record<string, unknown>

export const isHttpEvent = (event: unknown): event is Loose =>
  typeof event === 'object' && event !== null && typeof (event as Loose)['httpMethod'] === 'string'

/** Everything but the body: enough to know whose request it is. Throws the Fault `head_invalid`. */
export function readHead(event: Loose): Omit<HttpRequest, 'params' | 'body'> {
  const path = typeof event['path'] === 'string' ? event['path'] : '/'
  const query = texts(event['queryString'] ?? event['queryStringParameters'])
  const headers = texts(event['headers'])
  bound('path', { path }, PATH_MAX_CHARACTERS)
  bound('query', query, QUERY_MAX_CHARACTERS)
  bound('headers', headers, HEADERS_MAX_CHARACTERS)
  return {
    method: String(event['httpMethod']).toUpperCase(),
    path,
    query,
    headers: readHeaders(headers),
    address: readAddress(event, headers),
  }
}

/** Refused before anybody compares, signs or stores it: half a surrogate pair and U+0000 are other texts elsewhere. */
function bound(field: string, given: Record<string, string>, maxCharacters: number): void {
  const entries = Object.entries(given)
  const refuse = (code: string, message: Said) =>
    new Fault('head_invalid', { fields: [flaw(field, code, message)] })
  const characters = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (characters > maxCharacters || entries.length > NAMES_MAX)
    throw refuse(
      'too_large',
      said(
        `has at most ${NAMES_MAX} names and ${maxCharacters} characters`,
        `最多 ${NAMES_MAX} 个名称、${maxCharacters} 个字符`,
      ),
    )
  if (entries.some((pair) => pair.some((text) => text.includes('\0') || !isWellFormed(text))))
    throw refuse(
      'no_text',
      said(
        'must be text without U+0000 or half of a surrogate pair',
        '须为文本，不能含有 U+0000 或半个代理对',
      ),
    )
}

/** Of IPv6 the half that a household has: the other half it chooses itself. */
function readAddress(event: Loose, headers: Record<string, string>): string | undefined {
  const context = event['requestContext'] as Loose | null | undefined
  const [, header] =
    Object.entries(headers).find(([name]) => name.toLowerCase() === 'x-scf-remote-addr') ?? []
  const given = typeof context?.['sourceIp'] === 'string' ? context['sourceIp'] : (header ?? '')
  const [, v4] = /^(\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?$/.exec(given) ?? []
  if (v4 !== undefined) return v4
  const v6 = given.replace(/^\[([^\]]*)\](:\d+)?$/, '$1').toLowerCase()
  // node:net would know better, and costs a cold start more than a hint is worth.
  if (!/^[0-9a-f]{0,4}(:[0-9a-f.]{0,15}){2,7}$/.test(v6)) return undefined
  const [left = ''] = v6.split('::')
  return [...left.split(':'), '0', '0', '0', '0'].slice(0, 4).join(':')
}

function readHeaders(given: Record<string, string>): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase()
    if (lower.startsWith('x-scf-')) continue
    // Names that differ in case are one header: joined as well, so that none wins in silence.
    headers[lower] = Object.hasOwn(headers, lower) ? `${headers[lower]}, ${value}` : value
  }
  return headers
}

/** Repeated values are joined as HTTP joins them; what is no text at all is left out. */
function texts(given: unknown): Record<string, string> {
  const result: Record<string, string> = {}
  if (typeof given !== 'object' || given === null) return result
  for (const [name, value] of Object.entries(given)) {
    if (name in Object.prototype) continue
    if (typeof value === 'string') result[name] = value
    else if (Array.isArray(value)) result[name] = value.filter((one) => typeof one === 'string').join(', ')
    else if (typeof value === 'number' || typeof value === 'boolean') result[name] = String(value)
  }
  return result
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Throws the Faults `body_too_large`, `body_not_base64` and `body_not_utf8`. */
export function readBody(event: Loose, maxBytes = BODY_MAX_BYTES): Buffer {
  const { body } = event
  if (body === undefined || body === null || body === '') return Buffer.alloc(0)
  if (typeof body !== 'string') throw new Fault('body_not_json')
  // A boolean, or the text of one.
  const encoded = event['isBase64Encoded'] === true || event['isBase64Encoded'] === 'true'
  // Before decoding: every 4 characters are at most 3 bytes.
  if (body.length > (encoded ? (maxBytes * 4) / 3 + 4 : maxBytes)) throw new Fault('body_too_large')
  if (encoded && !BASE64.test(body)) throw new Fault('body_not_base64')
  // Half a surrogate pair has no bytes: it would become U+FFFD, and be ordered as that.
  if (!encoded && !isWellFormed(body)) throw new Fault('body_not_utf8')
  const bytes = Buffer.from(body, encoded ? 'base64' : 'utf8')
  if (bytes.length > maxBytes) throw new Fault('body_too_large')
  return bytes
}

/** The body as text. Throws the Fault `body_not_utf8`. */
export function bodyText(request: HttpRequest): string {
  if (!isUtf8(request.body)) throw new Fault('body_not_utf8')
  return request.body.toString('utf8')
}

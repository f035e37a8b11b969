/**
 * The other ways in which common JSON writers would have spelled the same text. Every function changes one thing and
 * leaves the rest as it was spelled, so that a fit names the thing.
 */

/** What one writer puts as \uXXXX although JSON would let it stand. */
export const GSON_ESCAPED = /[=&'<>\u2028\u2029]/
export const GO_ESCAPED = /[<>&\u2028\u2029]/
export const NOT_ASCII = /[^\0-\x7f]/

export type HexCase = 'lower' | 'upper'

const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|[^])/g
const TOKEN = /"(?:[^"\\]|\\[^])*"|[{}[\],:]|[^\s"{}[\],:]+/g

export function escaped(text: string, characters: RegExp, hexCase: HexCase = 'lower'): string {
  // Without the u flag: an astral character becomes two escapes, as JSON wants it.
  return text.replace(new RegExp(characters.source, 'g'), (unit) => {
    const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${hexCase === 'upper' ? hex.toUpperCase() : hex}`
  })
}

export function unescaped(text: string, characters: RegExp): string {
  return text.replace(ESCAPE, (escape, hex: string | undefined) => {
    const unit = hex === undefined ? '' : String.fromCharCode(parseInt(hex, 16))
    return unit !== '' && characters.test(unit) ? unit : escape
  })
}

export function withHexCase(text: string, hexCase: HexCase): string {
  return text.replace(ESCAPE, (escape, hex: string | undefined) =>
    hex === undefined ? escape : `\\u${hexCase === 'upper' ? hex.toUpperCase() : hex.toLowerCase()}`,
  )
}

export const withSlashEscapes = (text: string): string =>
  text.replace(/\\[^]|\//g, (found) => (found === '/' ? '\\/' : found))

export const withoutSlashEscapes = (text: string): string =>
  text.replace(/\\[^]/g, (found) => (found === '\\/' ? '/' : found))

/** The separators alone are changed: numbers and strings stay as they are spelled. */
export function withSeparators(text: string, comma: string, colon: string): string {
  if (parse(text) === undefined) return text
  return (text.match(TOKEN) ?? [])
    .map((token) => (token === ',' ? comma : token === ':' ? colon : token))
    .join('')
}

export const reserialised = (text: string, indent = 0): string =>
  attempt(() => JSON.stringify(JSON.parse(text), null, indent)) ?? text

export function sorted(text: string): string {
  const write = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`).join(',')}}`
  }
  return attempt(() => write(JSON.parse(text))) ?? text
}

/** Whole numbers as Java prints a double: what becomes of them in a Map of Gson's. */
export const withFloats = (text: string): string =>
  mapTokens(text, (token) => (/^-?\d{1,15}$/.test(token) ? javaDouble(Number(token)) : token))

export const withoutFloats = (text: string): string =>
  mapTokens(text, (token) => (/^-?\d+\.\d+(E\d+)?$/.test(token) ? JSON.stringify(Number(token)) : token))

function javaDouble(value: number): string {
  if (Math.abs(value) < 1e7) return `${value}.0`
  const [mantissa = '', exponent] = value.toExponential().split('e+')
  return `${mantissa}${mantissa.includes('.') ? '' : '.0'}E${exponent}`
}

function mapTokens(text: string, change: (token: string) => string): string {
  return parse(text) === undefined ? text : text.replace(TOKEN, change)
}

/** A member of the outermost object as it is spelled, quotes and escapes included. A name given twice: the last. */
export function spellingOf(body: string, name: string): string | undefined {
  let depth = 0
  let last = ''
  let start: number | undefined
  let spelling: string | undefined
  for (const { 0: token, index } of body.matchAll(TOKEN)) {
    if (start !== undefined && depth === 1 && (token === ',' || token === '}')) {
      spelling = body.slice(start, index).trim()
      start = undefined
    }
    if (depth === 1 && token === ':' && parse(last) === name) start = index + 1
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    last = token
  }
  return spelling
}

export const parse = (text: string): unknown => attempt(() => JSON.parse(text) as unknown)

/** Nothing for a text that is no JSON, or nested so deeply that writing it again would exhaust the stack. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

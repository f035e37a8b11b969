import { parseUrl } from './databaseUrl'
import { Secret } from './secrets'

/**
 * The one list of what is secret, by name and by shape. The log strikes it out, `sls print`, the plan and the doctor do not
 * show it, and Secrets Manager may hold it.
 */
export const SECRET_VARIABLES = [
  'CLOUD_PAY_AUTHEN_KEY',
  'CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED',
  'CLOUD_PAY_APPS',
  'CLOUD_PAY_OTHER_MERCHANTS',
  'DATABASE_URL',
  'DATA_KEYS',
  'MERCHANT_KEYS',
  'MERCHANT_WEBHOOK_SECRET',
  // Many a receiver is kept by a token in its address.
  'MERCHANT_WEBHOOK_URL',
  'QUOTE_KEYS',
  'SESSION_KEYS',
] as const
export type SecretVariable = (typeof SECRET_VARIABLES)[number]

/** The platform's own, and what a bundle's own `authorize` may read. */
const NAME = /KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL/
/** Of a member in JSON, or of a parameter in a URL. */
const MEMBER = /secret|password|token|(^|_)key($|_)|authen_key|sign|code/i
const SHAPES = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\bwhsec_[0-9A-Za-z+/]{16}/,
  // A password in a URL, or a token.
  /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]*:[^/?#\s]*@/i,
  /^https?:\/\/\S*[?&][^=&]*(secret|password|token|key|sign|code)[^=&]*=/i,
  /"\w*(secret|password|token|authen_key|private_key)\w*"\s*:/i,
]
/** A shorter one, of a name nobody listed, may be any word. */
const UNLISTED_MIN = 12

const isListed = (name: string): boolean => (SECRET_VARIABLES as readonly string[]).includes(name)

/** Whether nobody should read the value of this variable. A reference to Secrets Manager may be read. */
export const isSecret = (name: string, value: string): boolean =>
  !value.startsWith('ssm:') &&
  (isListed(name) || NAME.test(name) || SHAPES.some((shape) => shape.test(value)))

/** Every text in these variables that a log must not show: the values, and what is secret inside them. */
export function secretsIn(env: Record<string, string | undefined>): Secret[] {
  const texts = Object.entries(env).flatMap(([name, value = '']) => {
    if (value === '' || !isSecret(name, value) || (!isListed(name) && value.length < UNLISTED_MIN)) return []
    return [value, ...insideUrl(value), ...insideJson(value)]
  })
  return [...new Set(texts)].map((text) => new Secret(text))
}

function insideUrl(value: string): string[] {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? parseUrl(value) : undefined
  if (!url) return []
  const parameters = [...url.searchParams].flatMap(([name, text]) => (MEMBER.test(name) ? [text] : []))
  return [url.password, decoded(url.password), ...parameters]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function insideJson(value: string): string[] {
  if (!/^\s*[[{]/.test(value)) return []
  const found: string[] = []
  try {
    JSON.parse(value, (name, inner: unknown) => {
      if (typeof inner === 'string' && MEMBER.test(name)) found.push(inner)
      return inner
    })
  } catch {
    // It is struck out whole.
  }
  return found
}

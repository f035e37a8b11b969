import { isUtf8 } from 'node:buffer'
import { closeSync, openSync, readSync } from 'node:fs'
import { Secret } from '../../shared/base/secrets'
import type { Finding, Keys } from './causes'
import { diagnose, whatFits, type Diagnosis } from './diagnose'
import { firstDifference } from './difference'

export type Outcome = { exitCode: 0 | 1 | 2; lines: string[] }

type Env = Record<string, string | undefined>

const KEY_VARIABLE = 'CLOUD_PAY_AUTHEN_KEY'
const USAGE = [
  'npm run explain -- FILE [--sent FILE2]',
  '  FILE   a captured envelope, raw bytes: {"request_content" or "response_content", "authen_info"}',
  '  FILE2  the text that was really signed, from the log of its sender',
  `  The key is read from ${KEY_VARIABLE}, those of other merchants from ${KEY_VARIABLE}_<NAME>.`,
]

/** Far above any message of Cloud Pay's, and small enough to search in seconds. */
const FILE_MAX_BYTES = 256 * 1024

/** Says whether a captured envelope verifies and, if not, why. */
export function explain(args: readonly string[], env: Env): Outcome {
  // Nothing of the arguments is ever repeated: one of them may be a key.
  if (args.some((arg) => looksLikeKey(arg, env)))
    return usage(
      'A key must not be an argument: the shell keeps it and every process sees it. Take a new one.',
    )
  const files = readArguments(args)
  if (!files) return usage()
  const keyring = readKeys(env)
  if (!keyring) return usage(`${KEY_VARIABLE} is missing.`)

  const captured = readLimited(files.file)
  if (typeof captured === 'string') return usage(`FILE ${captured}.`)
  const sent = files.sent === undefined ? undefined : readLimited(files.sent)
  if (typeof sent === 'string') return usage(`FILE2 ${sent}.`)

  const diagnosis = diagnose(captured, keyring)
  return {
    exitCode: diagnosis.verifies ? 0 : 1,
    lines: [...verdict(diagnosis), ...(sent ? comparison(sent, diagnosis, keyring) : [])],
  }
}

const usage = (fault?: string): Outcome => ({
  exitCode: 2,
  lines: fault === undefined ? USAGE : [fault, ...USAGE],
})

function looksLikeKey(arg: string, env: Env): boolean {
  if (/^-+[\w-]*key/i.test(arg) || /^-k/.test(arg) || /^\w*KEY\w*=/i.test(arg)) return true
  return Object.entries(env).some(([name, value]) => {
    const key = name.startsWith(KEY_VARIABLE) ? (value ?? '').trim() : ''
    return key !== '' && arg.toLowerCase().includes(key.toLowerCase())
  })
}

function readArguments(args: readonly string[]): { file: string; sent: string | undefined } | undefined {
  const files: string[] = []
  let sent: string | undefined
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ''
    const isSent = arg === '--sent' || arg.startsWith('--sent=')
    if (isSent && sent === undefined) {
      sent = arg === '--sent' ? args[++at] : arg.slice('--sent='.length)
      if (!sent) return undefined
    } else if (arg.startsWith('-')) return undefined
    else files.push(arg)
  }
  const [file, ...more] = files
  return file === undefined || file === '' || more.length > 0 ? undefined : { file, sent }
}

function readKeys(env: Env): Keys | undefined {
  const own = env[KEY_VARIABLE]
  // Blanks around the key are kept: they are one of the causes looked for.
  if (own === undefined || own.trim() === '') return undefined
  const others = Object.entries(env).flatMap(([variable, value]) => {
    const name = /^CLOUD_PAY_AUTHEN_KEY_(\w{1,64})$/.exec(variable)?.[1]
    return name !== undefined && value && value !== own ? [{ name, key: new Secret(value) }] : []
  })
  return { own: new Secret(own), others }
}

/** The bytes, or why not. A pipe is as good as a file, so the size is found by reading. */
function readLimited(path: string): Buffer | string {
  try {
    const file = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(FILE_MAX_BYTES + 1)
      let length = 0
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(file, bytes, length, bytes.length - length, null)
      return length > FILE_MAX_BYTES ? `is larger than ${FILE_MAX_BYTES} bytes` : bytes.subarray(0, length)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`
  }
}

// ── what is printed ────────────────────────────────────────────────────────────────────────────────────────────

function verdict({ verifies, findings }: Diagnosis): string[] {
  if (verifies)
    return ['验证通过：authen_code 与内容、密钥相符。', 'Verifies: the code fits the content and the key.']
  return ['验证不通过。', 'Does not verify.', ...findings.flatMap(paragraph)]
}

const heading = ({ code, note }: Finding): string => (note === undefined ? `[${code}]` : `[${code}] ${note}`)

const paragraph = (finding: Finding): string[] => [
  '',
  heading(finding),
  `  ${finding.zh}`,
  `  ${finding.en}`,
  `  怎么办：${finding.cure.zh}`,
  `  What to do: ${finding.cure.en}`,
]

function comparison(sent: Buffer, { text, code }: Diagnosis, keyring: Keys): string[] {
  if (text === undefined) return ['', '没有可比较的内容。', 'There is no content to compare FILE2 with.']
  const lines = ['', ...fit(sent, code, keyring)]
  const difference = firstDifference(sent, Buffer.from(text, 'utf8'), secretsOf(keyring))
  if (!difference)
    return [
      ...lines,
      'FILE2 与收到的内容逐字节相同。',
      'FILE2 and the received content are equal, byte for byte.',
    ]
  return [
    ...lines,
    `第一个不同的字节在偏移 ${difference.offset}。`,
    `The first byte that differs is at offset ${difference.offset}.`,
    `  FILE2     ${difference.sent.byte.padEnd(3)}  ${difference.sent.before}▶${difference.sent.after}`,
    `  received  ${difference.received.byte.padEnd(3)}  ${difference.received.before}▶${difference.received.after}`,
  ]
}

function fit(sent: Buffer, code: string | undefined, keyring: Keys): string[] {
  if (code === undefined) return []
  if (!isUtf8(sent)) return ['FILE2 不是 UTF-8。', 'FILE2 is not UTF-8.']
  const causes = whatFits(sent.toString('utf8'), code, keyring)
  if (!causes) return ['authen_code 与 FILE2 也不相符。', 'The authen_code does not fit FILE2 either.']
  if (causes.length === 0) return ['authen_code 与 FILE2 相符。', 'The authen_code fits FILE2.']
  const names = causes.map(heading).join(' + ')
  return [`authen_code 与 FILE2 相符，但须考虑：${names}`, `The authen_code fits FILE2, given ${names}`]
}

const secretsOf = ({ own, others }: Keys): string[] =>
  [own, ...others.map(({ key }) => key)].map((key) => key.reveal().trim())

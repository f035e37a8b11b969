import { isUtf8 } from 'node:buffer'
import { createSecretKey } from 'node:crypto'
import { sameText } from '../../shared/base/compare'
import { AUTHEN_TYPE_HMAC_SHA256, STATUS } from '../../shared/cloudpay/enums'
import { authenCode, authenKey, verifyAuthenCode } from '../../shared/cloudpay/signing'
import {
  BOM,
  CAUSES,
  flaw,
  type Cause,
  type Finding,
  type Keys,
  type Surroundings,
  type Trial,
} from './causes'
import * as rewrite from './rewrite'

/**
 * Why an envelope does not verify. A cause is never guessed from its looks: the code is computed again as the signer
 * would have computed it, and only an equal code names the cause. No key and no code ever leaves this file.
 */
export type Diagnosis = {
  verifies: boolean
  findings: Finding[]
  /** The decoded content, when there is one: for comparing. */
  text: string | undefined
  code: string | undefined
}

// ── the search ─────────────────────────────────────────────────────────────────────────────────────────────────

/** How many bytes may be signed while searching. A real message needs a few million. */
const SEARCH_MAX_BYTES = 256 * 1024 * 1024

type Explanation = { trial: Trial; findings: Finding[] }

const fits = ({ text, key, code }: Trial): boolean =>
  sameText(authenCode({ signing: createSecretKey(key) }, text), code)

function* applied(from: Explanation, around: Surroundings, but?: Cause): Generator<[Cause, Explanation]> {
  for (const cause of CAUSES) {
    if (cause === but) continue
    const { candidates, ...words } = cause
    for (const { note, ...change } of candidates(from.trial, around)) {
      const finding = { ...words, ...(note === undefined ? {} : { note }) }
      yield [cause, { trial: { ...from.trial, ...change }, findings: [...from.findings, finding] }]
    }
  }
}

/** Every single cause first, then every two in a row. */
function* explanations(start: Trial, around: Surroundings): Generator<Explanation> {
  const nothing: Explanation = { trial: start, findings: [] }
  for (const [, one] of applied(nothing, around)) yield one
  for (const [cause, one] of applied(nothing, around)) {
    for (const [, two] of applied(one, around, cause)) yield two
  }
}

function search(start: Trial, around: Surroundings): Finding[] | 'nothing' | 'cut_short' {
  let bytes = 0
  for (const { trial, findings } of explanations(start, around)) {
    bytes += trial.text.length
    if (bytes > SEARCH_MAX_BYTES) return 'cut_short'
    if (fits(trial)) return findings
  }
  return 'nothing'
}

// ── the whole examination ──────────────────────────────────────────────────────────────────────────────────────

export function diagnose(bytes: Buffer, keyring: Keys): Diagnosis {
  const nothing = { verifies: false, text: undefined, code: undefined }
  if (!isUtf8(bytes)) return { ...nothing, findings: [flaw('not_utf8', encodingOf(bytes))] }

  const findings: Finding[] = []
  let body = bytes.toString('utf8')
  if (body.startsWith(BOM)) {
    findings.push(flaw('body_starts_with_bom'))
    body = body.slice(BOM.length)
  }
  const outer = asObject(rewrite.parse(body))
  if (!outer) return { ...nothing, findings: [...findings, flaw('not_json')] }

  const member = 'request_content' in outer ? 'request_content' : 'response_content'
  const content = outer[member]
  if (content === undefined || content === null || content === '')
    return { ...nothing, findings: [...findings, flaw('content_missing')] }
  const spelling = rewrite.spellingOf(body, member) ?? ''
  // The text of an object is the next best thing its signer may have signed.
  const text = typeof content === 'string' ? content : spelling
  if (typeof content !== 'string') findings.push(flaw('content_not_a_string'))

  const info = outer['authen_info']
  if (info === undefined || info === null) {
    const status = member === 'response_content' ? asObject(rewrite.parse(text))?.['status'] : undefined
    const failed = typeof status === 'number' && status !== STATUS.ok
    findings.push(flaw(failed ? 'unsigned_failure' : 'authen_info_missing'))
    return { verifies: false, findings, text, code: undefined }
  }
  const { authen_type: type, authen_code: code } = asObject(asObject(info)?.['a']) ?? {}
  if (typeof code !== 'string')
    return { verifies: false, findings: [...findings, flaw('authen_info_malformed')], text, code: undefined }
  if (type !== AUTHEN_TYPE_HMAC_SHA256) findings.push(flaw('authen_type_wrong'))

  if (!verifyAuthenCode(authenKey(keyring.own), text, code)) {
    const start = { text, key: Buffer.from(keyring.own.reveal(), 'utf8'), code }
    const found = search(start, { member, spelling, body, others: keyring.others })
    if (Array.isArray(found)) findings.push(...found)
    else if (!/^[0-9A-F]{64}$/i.test(code)) findings.push(flaw('code_malformed'))
    else
      findings.push(
        flaw('unexplained', found === 'cut_short' ? 'long text: not every pair tried' : undefined),
      )
  }
  return { verifies: findings.length === 0, findings, text, code }
}

/** What makes the received code fit a text its sender says it signed: nothing at all, some causes, or undefined. */
export function whatFits(text: string, code: string, keyring: Keys): Finding[] | undefined {
  if (verifyAuthenCode(authenKey(keyring.own), text, code)) return []
  const start = { text, key: Buffer.from(keyring.own.reveal(), 'utf8'), code }
  const spelling = JSON.stringify(text)
  const found = search(start, { member: 'request_content', spelling, body: '', others: keyring.others })
  return Array.isArray(found) ? found : undefined
}

function encodingOf(bytes: Buffer): string {
  const mark = bytes.toString('hex', 0, 2)
  if (mark === 'fffe' || mark === 'feff') return 'UTF-16'
  let end = 0
  // The longest good beginning, by halving; then back over the character it may end within.
  for (let step = 2 ** Math.ceil(Math.log2(bytes.length + 1)); step >= 1; step /= 2) {
    if (end + step <= bytes.length && isUtf8Beginning(bytes.subarray(0, end + step))) end += step
  }
  while (!isUtf8(bytes.subarray(0, end))) end--
  return `first bad byte at offset ${end}`
}

function isUtf8Beginning(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

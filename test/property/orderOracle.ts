import { SANDBOX_MERCHANT } from '../../shared/base/config'

/**
 * Says of any event whether `POST /orders` must accept it, and if not, what may be named as the reason. Written from
 * the documented rules and from nothing else: it has its own JSON reader and its own table of fields, so that it
 * cannot share a mistake with the code under test.
 */
export type Verdict = {
  /** Nothing wrong means: must be accepted. */
  faults: Fault[]
  /** What the body says, when it could be read. */
  said: Said | undefined
  caller: string
  isPayer: boolean
  idempotencyKey: string | null
}
export type Fault = {
  code: string
  field?: string
  /** What two readers could understand differently: named before any rule of a field. */
  trap?: 'duplicate_key' | 'forbidden_key' | 'too_deep'
}
/** The body as plain values. */
export type Said = Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any

export type Event = { body?: unknown; isBase64Encoded?: unknown; headers: Record<string, unknown> }

/** What the configuration of `openWorld` says. */
export const OWNED = {
  out_mch_id: SANDBOX_MERCHANT.out_mch_id,
  out_sub_mch_id: SANDBOX_MERCHANT.out_sub_mch_id,
  out_shop_id: SANDBOX_MERCHANT.out_shop_id,
  spbill_create_ip: '127.0.0.1',
  sdk_version: 'scf-ts0.1',
}

const BODY_MAX_BYTES = 64 * 1024
const DEPTH_MAX = 16
/** The reader below calls itself. */
const READER_DEPTH_MAX = 500

const isNoText = (value: unknown): boolean =>
  [value].flat().some((text) => typeof text === 'string' && /\0|\p{Surrogate}/u.test(text))

export function judge(event: Event, nowS: number): Verdict {
  const faults: Fault[] = []
  // Refused before anything else is looked at.
  if (Object.values(event.headers ?? {}).some(isNoText)) faults.push({ code: 'head_invalid' })
  const caller = header(event, 'x-local-caller') ?? 'local'
  const callerId = caller.replace(/^payer:/, '')
  if (!/^[\w-]{1,40}$/.test(callerId)) faults.push({ code: 'caller_unknown' })
  const idempotencyKey = header(event, 'idempotency-key') ?? null
  if (idempotencyKey !== null && !isVisibleAscii(idempotencyKey)) {
    faults.push({ code: 'idempotency_key_invalid' })
  }

  const node = readBody(event, faults)
  if (node) body(node, faults, nowS)
  const said = node && (plain(node) as Said)
  if (caller.startsWith('payer:') && idempotencyKey === null) {
    const number: unknown = said?.['pay_content']?.['out_trade_no']
    if (number === undefined) faults.push({ code: 'idempotency_required' })
  }
  const isPayer = caller.startsWith('payer:')
  // Whoever is scanned does not scan.
  if (isPayer && said?.['trade_type'] === 1) faults.push({ code: 'caller_not_allowed' })
  return { faults, said, caller: callerId, isPayer, idempotencyKey }
}

function header(event: Event, wanted: string): string | undefined {
  for (const [name, value] of Object.entries(event.headers)) {
    if (name.toLowerCase() !== wanted) continue
    if (Array.isArray(value)) return value.join(', ')
    if (typeof value === 'string' || typeof value === 'number') return `${value}`
  }
  return undefined
}

function isVisibleAscii(text: string): boolean {
  const units = text.split('').map((unit) => unit.charCodeAt(0))
  return units.length >= 1 && units.length <= 255 && units.every((unit) => unit > 32 && unit < 127)
}

// ── bytes ──────────────────────────────────────────────────────────────────────────────────────────────────────

function readBody(event: Event, faults: Fault[]): ObjectNode | undefined {
  const fail = (code: string) => {
    faults.push({ code })
    return undefined
  }
  const given = event.body ?? ''
  if (typeof given !== 'string') return fail('body_not_json')
  let bytes: Buffer
  if (event.isBase64Encoded === true || event.isBase64Encoded === 'true') {
    bytes = Buffer.from(given, 'base64')
    if (bytes.length > BODY_MAX_BYTES) fail('body_too_large')
    if (!isBase64(given)) return fail('body_not_base64')
  } else {
    // Half a surrogate pair cannot have come over the wire, and there are no bytes for it.
    if (hasLoneSurrogate(given)) return fail('body_not_utf8')
    bytes = Buffer.from(given, 'utf8')
  }
  if (bytes.length > BODY_MAX_BYTES) return fail('body_too_large')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('body_not_utf8')
  }
  try {
    const reader = new Reader(text)
    const node = reader.document()
    if (reader.depth > DEPTH_MAX) faults.push({ code: 'body_invalid', trap: 'too_deep' })
    traps(node, '', (field, trap) => void faults.push({ code: 'body_invalid', field, trap }))
    return node.kind === 'object' ? node : fail('body_not_json')
  } catch (error) {
    // This reader has given up, so the rest of the text may be anything.
    if (error instanceof TooDeep) faults.push({ code: 'body_invalid', trap: 'too_deep' })
    return fail('body_not_json')
  }
}

function isBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  for (let at = 0; at < text.length - padding; at++) {
    const unit = text.charCodeAt(at)
    const letter = (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122)
    const digit = unit >= 48 && unit <= 57
    if (!letter && !digit && unit !== 43 && unit !== 47) return false
  }
  return true
}

// ── JSON, keeping what JSON.parse forgets ──────────────────────────────────────────────────────────────────────

type ObjectNode = { kind: 'object'; entries: [name: string, value: Node][] }
type Node =
  { kind: 'value'; value: string | number | boolean | null } | { kind: 'array'; items: Node[] } | ObjectNode

class TooDeep extends Error {}

/** RFC 8259, by recursive descent. */
class Reader {
  #at = 0
  depth = 0

  constructor(private readonly text: string) {}

  document(): Node {
    const node = this.#value(0)
    this.#blanks()
    if (this.#at !== this.text.length) throw new SyntaxError()
    return node
  }

  #value(depth: number): Node {
    this.#blanks()
    switch (this.text[this.#at]) {
      case '{':
        return { kind: 'object', entries: this.#list('}', depth, () => this.#entry(depth + 1)) }
      case '[':
        return { kind: 'array', items: this.#list(']', depth, () => this.#value(depth + 1)) }
      case '"':
        return { kind: 'value', value: this.#string() }
      default:
        return { kind: 'value', value: this.#word() }
    }
  }

  #list<T>(end: string, depth: number, item: () => T): T[] {
    if (depth === READER_DEPTH_MAX) throw new TooDeep()
    this.depth = Math.max(this.depth, depth + 1)
    this.#at++
    this.#blanks()
    const list: T[] = []
    if (this.#take(end)) return list
    for (;;) {
      list.push(item())
      this.#blanks()
      if (this.#take(end)) return list
      if (!this.#take(',')) throw new SyntaxError()
    }
  }

  #entry(depth: number): [string, Node] {
    this.#blanks()
    if (this.text[this.#at] !== '"') throw new SyntaxError()
    const name = this.#string()
    this.#blanks()
    if (!this.#take(':')) throw new SyntaxError()
    return [name, this.#value(depth)]
  }

  #string(): string {
    const start = ++this.#at
    while (this.text[this.#at] !== '"') {
      if (this.#at >= this.text.length || this.text.charCodeAt(this.#at) < 32) throw new SyntaxError()
      this.#at += this.text[this.#at] === '\\' ? 2 : 1
    }
    const inside = this.text.slice(start, this.#at++)
    if (!/^(?:[^\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*$/su.test(inside)) throw new SyntaxError()
    const short: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
    return inside.replaceAll(/\\(?:u(....)|(.))/gs, (_, hex: string | undefined, one: string) =>
      hex === undefined ? (short[one] ?? one) : String.fromCharCode(parseInt(hex, 16)),
    )
  }

  #word(): number | boolean | null {
    const [word] = /^[-+.\w]*/.exec(this.text.slice(this.#at, this.#at + 400)) ?? ['']
    this.#at += word.length
    if (word === 'null') return null
    if (word === 'true' || word === 'false') return word === 'true'
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(word)) throw new SyntaxError()
    return Number(word)
  }

  #take(char: string): boolean {
    if (this.text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #blanks(): void {
    while (' \t\r\n'.includes(this.text[this.#at] ?? 'x')) this.#at++
  }
}

const plain = (node: Node): unknown =>
  node.kind === 'value'
    ? node.value
    : node.kind === 'array'
      ? node.items.map(plain)
      : Object.fromEntries(node.entries.map(([name, value]) => [name, plain(value)]))

// ── fields ─────────────────────────────────────────────────────────────────────────────────────────────────────

type Rule = (node: Node, path: string, fault: (path: string) => void) => void
type Fields = Record<string, { required: boolean; rule: Rule }>

const must = (rule: Rule) => ({ required: true, rule })
const may = (rule: Rule) => ({ required: false, rule })
const valueOf = (node: Node): unknown => (node.kind === 'value' ? node.value : node)

const text =
  (min: number, max: number): Rule =>
  (node, path, fault) => {
    const value = valueOf(node)
    // No database can be trusted with U+0000.
    if (typeof value !== 'string' || hasLoneSurrogate(value) || value.includes('\0')) return fault(path)
    const count = codePoints(value)
    if (count < min || count > max) fault(path)
  }
const whole =
  (min: number, max: number): Rule =>
  (node, path, fault) => {
    const value = valueOf(node)
    if (typeof value !== 'number' || value % 1 !== 0 || !(value >= min && value <= max)) fault(path)
  }
const oneOf =
  (...values: unknown[]): Rule =>
  (node, path, fault) => {
    if (!values.includes(valueOf(node))) fault(path)
  }
const never: Rule = (_, path, fault) => fault(path)

/** Names every object has by birth: no field may have one. */
const FORBIDDEN = [
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  'toLocaleString',
  'toString',
  'valueOf',
  '__defineGetter__',
  '__defineSetter__',
  '__lookupGetter__',
  '__lookupSetter__',
]

const object =
  (fields: Fields): Rule =>
  (node, path, fault) => {
    if (node.kind !== 'object') return fault(path)
    const at = (name: string) => (path === '' ? name : `${path}.${name}`)
    const names = node.entries.map(([name]) => name)
    for (const [name, value] of node.entries) {
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined
      if (!field || names.filter((one) => one === name).length > 1) fault(at(name))
      else field.rule(value, at(name), fault)
    }
    for (const [name, { required }] of Object.entries(fields)) {
      if (required && !names.includes(name)) fault(at(name))
    }
  }
const list =
  (rule: Rule): Rule =>
  (node, path, fault) => {
    if (node.kind !== 'array') return fault(path)
    node.items.forEach((item, index) => rule(item, `${path}.${index}`, fault))
  }

const N32 = whole(0, 2 ** 31 - 1)
const detailObject = object({
  cost_price: may(N32),
  receipt_id: may(text(0, 32)),
  goods_detail: must(
    list(
      object({
        goods_id: may(text(0, 32)),
        goods_name: may(text(0, 256)),
        quantity: must(N32),
        price: must(N32),
      }),
    ),
  ),
})

/** The structure, or its text; either way at most 6000 characters as text. */
const detail: Rule = (node, path, fault) => {
  const value = valueOf(node)
  if (typeof value !== 'string') {
    if (codePoints(JSON.stringify(plain(node))) > 6000) fault(path)
    return detailObject(node, path, fault)
  }
  text(0, 6000)(node, path, fault)
  try {
    const reader = new Reader(value)
    const read = reader.document()
    if (reader.depth > DEPTH_MAX) fault(path)
    traps(read, path, fault)
    detailObject(read, path, fault)
  } catch {
    fault(path)
  }
}

function traps(
  node: Node,
  path: string,
  fault: (path: string, trap: 'duplicate_key' | 'forbidden_key') => void,
): void {
  if (node.kind === 'array') node.items.forEach((item, index) => traps(item, join(path, `${index}`), fault))
  if (node.kind !== 'object') return
  const seen: string[] = []
  for (const [name, value] of node.entries) {
    if (FORBIDDEN.includes(name)) fault(join(path, name), 'forbidden_key')
    if (seen.includes(name)) fault(join(path, name), 'duplicate_key')
    seen.push(name)
    traps(value, join(path, name), fault)
  }
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

const WXPAY = 'pay_mch_key.wxpay_pay_mch_key_ext'
const ALIPAY = 'pay_mch_key.alipay_pay_mch_key_ext'

function body(node: ObjectNode, faults: Fault[], nowS: number): void {
  const fault = (field: string) => void faults.push({ code: 'body_invalid', field })
  object({
    pay_content: must(
      object({
        out_trade_no: may(orderNumber),
        total_fee: must(whole(1, 2 ** 31 - 1)),
        fee_type: may(oneOf('CNY')),
        body: must(readable(128)),
        detail: may(detail),
        remark: may(text(0, 127)),
        time_expire: may(whole(nowS + 120, nowS + 7200)),
        author_code: may(digits),
        wxpay_pay_content_ext: may(
          object({
            attach: may(text(0, 127)),
            goods_tag: may(text(0, 32)),
            product_id: may(text(0, 32)),
            limit_pay: may(oneOf('no_credit')),
            scene_info: may(text(0, 256)),
          }),
        ),
      }),
    ),
    pay_mch_key: must(
      object({
        pay_platform: must(oneOf(1, 2)),
        out_mch_id: may(oneOf(OWNED.out_mch_id)),
        out_sub_mch_id: may(oneOf(OWNED.out_sub_mch_id)),
        out_shop_id: may(oneOf(OWNED.out_shop_id)),
        wxpay_pay_mch_key_ext: may(
          object({
            app_id: may(text(1, 32)),
            sub_app_id: may(text(1, 32)),
            open_id: may(payer(128)),
            sub_open_id: may(payer(128)),
            mini_program_sub_app_id: may(text(1, 32)),
            mob_app_id: may(text(1, 32)),
          }),
        ),
        alipay_pay_mch_key_ext: may(object({ user_id: must(payer(32)) })),
      }),
    ),
    order_client: may(
      object({
        device_id: may(text(0, 64)),
        staff_id: may(text(0, 64)),
        terminal_type: may(oneOf(1, 2, 3, 4, 100)),
        sdk_version: may(oneOf(OWNED.sdk_version)),
        // The payer's own in a browser, ours anywhere else: see below.
        spbill_create_ip: may(text(0, 16)),
        machine_no: may(text(0, 32)),
        sn_code: may(text(0, 64)),
      }),
    ),
    trade_type: may(oneOf(1, 2, 3, 4, 6, 9)),
    nonce_str: may(never),
  })(node, '', fault)
  payment(plain(node) as Said, fault)
}

const orderNumber: Rule = (node, path, fault) => {
  const value = valueOf(node)
  const { order_prefix } = SANDBOX_MERCHANT
  if (typeof value !== 'string' || value.length > 32) return fault(path)
  const own = value.startsWith(order_prefix) ? value.slice(order_prefix.length) : ''
  if (own === '' || /[^0-9A-Za-z]/.test(own)) fault(path)
}

const digits: Rule = (node, path, fault) => {
  const value = valueOf(node)
  if (typeof value !== 'string' || !/^\d{16,24}$/.test(value)) fault(path)
}

/** Somebody: no word of a page's empty variable, no blank, no control character. */
const payer =
  (max: number): Rule =>
  (node, path, fault) => {
    text(1, max)(node, path, fault)
    const value = valueOf(node)
    if (typeof value !== 'string') return
    if (['undefined', 'null', 'NaN', '[object Object]'].includes(value)) fault(path)
    const isControl = (unit: number) => unit < 32 || (unit > 126 && unit < 160)
    for (let at = 0; at < value.length; at++)
      if (isControl(value.charCodeAt(at)) || value[at]!.trim() === '') fault(path)
  }

/** Text in which there is something to read. */
const readable =
  (max: number): Rule =>
  (node, path, fault) => {
    text(1, max)(node, path, fault)
    const value = valueOf(node)
    if (typeof value === 'string' && value.trim() === '') fault(path)
  }

/** A way of paying, as its page has it. */
type Way = {
  wechatOnly?: true
  /** Of the WeChat key: what may be in it, all of it or one of it; none: no key. */
  key?: { may: string[]; all?: string[]; one?: string[] }
  alipayKey?: true
  content: string[]
  client: string[]
}

const CLIENT = ['device_id', 'staff_id', 'terminal_type']
const COUPONS = ['attach', 'goods_tag', 'limit_pay']

const WAYS: Record<number, Way> = {
  1: { content: COUPONS, client: [...CLIENT, 'machine_no', 'sn_code'] },
  2: { content: [...COUPONS, 'product_id'], client: CLIENT },
  3: {
    key: { may: ['app_id', 'sub_app_id', 'open_id', 'sub_open_id'], one: ['open_id', 'sub_open_id'] },
    alipayKey: true,
    content: [...COUPONS, 'product_id'],
    client: CLIENT,
  },
  4: { wechatOnly: true, key: { may: ['mob_app_id'], all: ['mob_app_id'] }, content: COUPONS, client: [] },
  6: { wechatOnly: true, content: [...COUPONS, 'scene_info'], client: [] },
  9: {
    wechatOnly: true,
    key: {
      may: ['mini_program_sub_app_id', 'sub_open_id'],
      all: ['mini_program_sub_app_id', 'sub_open_id'],
    },
    content: [...COUPONS, 'product_id'],
    client: CLIENT,
  },
}

/** Who pays, and how: what each way of paying wants, and nothing of another's. */
function payment(said: Said, fault: (path: string) => void): void {
  const type = (said['trade_type'] ?? 3) as number
  const way = WAYS[type]
  if (!way) return
  const key = (said['pay_mch_key'] ?? {}) as Said
  const content = (said['pay_content'] ?? {}) as Said
  const isSet = (node: Said | undefined | null, name: string) => node?.[name] !== undefined
  const wxpay = key['wxpay_pay_mch_key_ext'] as Said | undefined
  const ext = content['wxpay_pay_content_ext'] as Said | undefined
  const platform: unknown = key['pay_platform']

  if (platform === 2) {
    if (way.wechatOnly) fault('trade_type')
    if (isSet(key, 'alipay_pay_mch_key_ext') !== (way.alipayKey ?? false)) fault(ALIPAY)
    if (wxpay !== undefined) fault(WXPAY)
    if (ext !== undefined) fault('pay_content.wxpay_pay_content_ext')
  }
  if (platform === 1) {
    if (isSet(key, 'alipay_pay_mch_key_ext')) fault(ALIPAY)
    if ((wxpay !== undefined) !== (way.key !== undefined)) fault(WXPAY)
  }
  if (wxpay !== undefined && way.key) {
    const { may: allowed, all = [], one = [] } = way.key
    for (const name of [
      'app_id',
      'sub_app_id',
      'open_id',
      'sub_open_id',
      'mini_program_sub_app_id',
      'mob_app_id',
    ]) {
      if (isSet(wxpay, name) ? !allowed.includes(name) : all.includes(name)) fault(`${WXPAY}.${name}`)
    }
    const chosen = one.filter((name) => isSet(wxpay, name))
    if (one.length > 0 && chosen.length !== 1) fault(`${WXPAY}.${chosen[0] ?? one[1]}`)
  }

  for (const name of ['attach', 'goods_tag', 'limit_pay', 'product_id', 'scene_info'])
    if (isSet(ext, name) && !way.content.includes(name)) fault(`pay_content.wxpay_pay_content_ext.${name}`)
  if (type === 6 && !isSceneInfo(ext?.['scene_info'])) fault('pay_content.wxpay_pay_content_ext.scene_info')
  if (type === 1 && isSet(content, 'time_expire')) fault('pay_content.time_expire')
  if (type === 1 ? !isAuthorCode(content['author_code'], platform) : isSet(content, 'author_code'))
    fault('pay_content.author_code')

  const client = said['order_client'] as Said | undefined
  for (const name of ['device_id', 'staff_id', 'terminal_type', 'machine_no', 'sn_code'])
    if (isSet(client, name) && !way.client.includes(name)) fault(`order_client.${name}`)
  const ip: unknown = client?.['spbill_create_ip']
  if (type === 6 ? !isIpv4(ip) : ip !== undefined && ip !== OWNED.spbill_create_ip)
    fault('order_client.spbill_create_ip')
}

/** WeChat's begin with 10 to 15, Alipay's with 25 to 30. */
function isAuthorCode(code: unknown, platform: unknown): boolean {
  if (typeof code !== 'string' || code.length < 16 || code.length > 24) return false
  if ([...code].some((digit) => digit < '0' || digit > '9')) return false
  const start = Number(code.slice(0, 2))
  return platform === 1 ? start >= 10 && start <= 15 : start >= 25 && start <= 30
}

function isSceneInfo(given: unknown): boolean {
  if (typeof given !== 'string') return false
  try {
    const reader = new Reader(given)
    const node = reader.document()
    let trapped = reader.depth > DEPTH_MAX
    traps(node, '', () => void (trapped = true))
    const scene = plain(node) as Said | null
    return !trapped && typeof scene?.['h5_info']?.type === 'string'
  } catch {
    return false
  }
}

function isIpv4(given: unknown): boolean {
  if (typeof given !== 'string') return false
  const parts = given.split('.')
  return parts.length === 4 && parts.every((part) => String(Number(part)) === part && Number(part) <= 255)
}

// ── characters ─────────────────────────────────────────────────────────────────────────────────────────────────

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff

/** Every unit but the second half of a pair starts a character. */
function codePoints(value: string): number {
  let count = 0
  for (let at = 0; at < value.length; at++) {
    if (!(isLow(value.charCodeAt(at)) && at > 0 && isHigh(value.charCodeAt(at - 1)))) count++
  }
  return count
}

function hasLoneSurrogate(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at)
    if (isHigh(unit) && isLow(value.charCodeAt(at + 1))) at++
    else if (isHigh(unit) || isLow(unit)) return true
  }
  return false
}

import type { Reply } from '../../local/sandbox/sandbox'
import type { FaultName } from '../../local/sandbox/switches'
import { NetFault, type Post, type PostAnswer } from '../../shared/net/post'
import { CLOUD_PAY_FAULTS, type NetworkFault } from './faults'
import { lieAboutList } from './lists'
import { merchantIn, neighbourOf } from './merchants'
import type { Owner } from './scheduler'
import { foreignCreate, foreignQuery, sealedAnswer } from './sealed'
import type { World } from './world'

/** Cloud Pay's end: bytes in, bytes out, and what has happened by then. */
export type FarEnd = (suffix: string, body: Buffer, fault: FaultName | undefined) => Reply

/**
 * The network between one instance and Cloud Pay. A request on its way belongs to nobody: it arrives though its
 * sender has crashed. An answer on its way finds its sender, or nobody.
 */
export function createNetwork(world: World, owner: Owner, farEnd: FarEnd): Post {
  const { scheduler, dice } = world

  return async (url, body, { timeoutMs, beforeSend }) => {
    const suffix = url.slice(url.lastIndexOf('/') + 1)
    const endMs = scheduler.nowMs + timeoutMs

    const send = async (fault: NetworkFault | undefined): Promise<PostAnswer> => {
      await beforeSend?.()
      if (scheduler.nowMs >= endMs) throw new NetFault('timeout')
      return exchange(suffix, body, endMs, fault)
    }

    const fault = draw(suffix)
    if (fault !== 'stale socket, heard' && fault !== 'stale socket, unheard') return send(fault)
    try {
      return await send(fault)
    } catch (error) {
      // As net/post.ts does: the kept socket was dead, so once more on one of its own.
      if (error instanceof NetFault && error.code === 'connection') return send(draw(suffix))
      throw error
    }
  }

  function lateMs(): number {
    return dice.between(500, dice.chance(0.3) ? 60_000 : 7000)
  }

  /** A list of refunds is told wrong while much goes wrong; the bill after that, when there is something in it. */
  function tellLies(suffix: string, key: string, reply: Reply): void {
    const isBill = suffix === 'client_order_detail'
    if ((!isBill && suffix !== 'query_refund_order') || reply.kind !== 'answer') return
    const left = isBill ? world.billLiesLeft : world.listLiesLeft
    if (left === 0 || (!isBill && !dice.chance(world.luck.cloudPay))) return
    const told = lieAboutList(dice, key, reply.body)
    if (!told) return
    if (isBill) world.billLiesLeft--
    else world.listLiesLeft--
    // An empty bill may be a true one: what it hides only a later one can show. The others contradict themselves.
    world.billHid ||= told.lie === 'bill empty'
    world.coverage.count('scene', told.lie)
    world.tell(owner, () => `!! ${told.lie}`)
    reply.body = told.body
  }

  function draw(suffix: string): NetworkFault | undefined {
    if (world.createsGetLost && suffix.endsWith('_pay')) return 'answer dropped'
    // Refunds are rare, and it takes two faults in a row to make one go wrong.
    if (!dice.chance(world.luck.network * (suffix === 'refund' ? 2 : 1))) return undefined
    // Who wants to be believed speaks where money is asked about.
    if (suffix.startsWith('query') && dice.chance(0.25)) return 'forged answer'
    return dice.pick(NETWORK_DRAW)
  }

  function exchange(
    suffix: string,
    body: Buffer,
    endMs: number,
    fault: NetworkFault | undefined,
  ): Promise<PostAnswer> {
    return new Promise((resolve, reject) => {
      if (owner.dead) return
      const merchant = merchantIn(body)
      const flight = world.traffic.begin(owner, body, suffix)
      let over = false
      const settle = (seen: string | undefined, finish: () => void) => {
        if (over) return
        over = true
        scheduler.cancel(timeout)
        world.traffic.end(flight)
        if (seen !== undefined) world.sawFault(owner, seen)
        finish()
      }
      const fail = (code: NetFault['code'], seen: string | undefined) =>
        settle(seen, () => reject(new NetFault(code)))
      const timeout = scheduler.after(owner, `${suffix}: no answer in time`, endMs - scheduler.nowMs, () =>
        fail('timeout', late ?? fault),
      )
      let late: string | undefined

      if (fault === 'connect timeout') {
        scheduler.after(owner, `${suffix}: no connection`, 3000, () => fail('connect_timeout', fault))
        return
      }
      if (fault === 'stale socket, unheard') {
        scheduler.after(owner, `${suffix}: socket is dead`, world.latency(), () => fail('connection', fault))
        return
      }

      let arrivals = 0
      const arrive = () => {
        let cloudPayFault: FaultName | undefined = dice.chance(world.luck.cloudPay)
          ? dice.pick(CLOUD_PAY_FAULTS)
          : undefined
        // Of two that were one, the first may be refused and the second taken.
        if (fault === 'request twice' && arrivals++ === 0 && dice.chance(0.8)) cloudPayFault = '104'
        const reply = farEnd(suffix, body, cloudPayFault)
        if (fault === undefined && cloudPayFault === undefined) tellLies(suffix, merchant.authen_key, reply)
        if (fault === 'answer dropped') return
        const isSlow = suffix === 'client_order_detail' ? world.slowBill : world.scene === 'crowd'
        const delay =
          fault === 'answer late'
            ? lateMs()
            : isSlow
              ? dice.between(world.scene === 'crowd' ? 1000 : 300, 2500)
              : world.latency()
        scheduler.after(owner, `${suffix} answers`, delay, () => deliver(reply, cloudPayFault))
      }
      const deliver = (reply: Reply, cloudPayFault: FaultName | undefined) => {
        if (fault === 'stale socket, heard') return fail('connection', fault)
        if (fault === 'cut off') return fail('answer_cut_off', fault)
        if (reply.kind === 'drop') return fail('connection', cloudPayFault)
        if (reply.kind === 'truncated') return fail('answer_cut_off', cloudPayFault)
        if (reply.kind === 'silent') return
        const { httpStatus } = reply
        let answer = reply.body
        if (fault === 'forged answer') answer = forge(answer)
        if (fault === 'answer of another order') answer = answerOfAnother(world, flight.number, answer)
        if (fault === 'transforming') answer = transforming(merchant.authen_key, answer)
        if (fault === 'slow body') return
        if (fault === 'cut short') answer = answer.subarray(0, dice.below(answer.length))
        const status = fault === '5xx' ? dice.pick([500, 502, 503, 504]) : httpStatus
        const heard = fault !== undefined && CHANGED.has(fault) ? fault : undefined
        settle(heard ?? late ?? cloudPayFault, () => resolve({ status, body: answer }))
      }

      const forge = (answer: Buffer): Buffer => {
        const how = dice.pick(FORGERIES)
        // Who is served beside us has a genuine key, and may be the one in between.
        if (world.scene !== 'two merchants' || how !== 'other key') return forged(answer, how, 'not the key')
        world.coverage.count('scene', 'a neighbour signs in our name')
        return forged(answer, how, neighbourOf(merchant).authen_key)
      }

      const carry = (delayMs: number) =>
        // Nobody's: it arrives whatever becomes of its sender.
        scheduler.after(world.nobody, `${owner.name}'s ${suffix} arrives`, delayMs, arrive)
      if (fault === 'request dropped') return
      if (world.isSilentFor(merchant)) return
      if (fault === 'request late' || fault === 'answer late') late = fault
      carry(fault === 'request late' ? lateMs() : world.latency())
      if (fault === 'request twice') {
        world.duplicated.add(flight.refund ?? flight.number)
        world.sawFault(owner, fault)
        carry(dice.chance(0.5) ? world.latency() : lateMs())
      }
    })
  }
}

const NETWORK_DRAW: readonly NetworkFault[] = [
  'request dropped',
  'answer dropped',
  'answer dropped',
  'request late',
  'answer late',
  'request twice',
  'stale socket, unheard',
  'stale socket, heard',
  'cut off',
  'cut short',
  '5xx',
  'slow body',
  'connect timeout',
  'forged answer',
  'forged answer',
  'answer of another order',
  'answer of another order',
  'transforming',
]

/** What arrives in time, and is not what was sent. */
const CHANGED = new Set<NetworkFault>([
  'cut short',
  '5xx',
  'forged answer',
  'answer of another order',
  'answer of another order',
  'transforming',
])

const FORGERIES = ['old code', 'no code', 'other key'] as const

/** Genuine, paid, for the same amount, and about something else: mixed up on its way. */
function answerOfAnother({ sandbox, dice, squatted }: World, number: string, body: Buffer): Buffer {
  const order = sandbox.orders.get(number)
  if (!order) return body
  const { pay_content, pay_mch_key } = order.request
  const other = `${number.slice(0, 30)}x`
  const wechat = pay_mch_key.pay_platform === 1
  if (!sandbox.orders.has(other)) {
    squatted.add(other)
    sandbox.answer('official_account_pay', foreignCreate(dice, other, pay_content.total_fee, wechat))
    if (!sandbox.orders.has(other)) return body
    sandbox.pay(other)
  }
  const reply = sandbox.answer('query_order', foreignQuery(dice, other, wechat))
  return reply.kind === 'answer' ? reply.body : body
}

/** Cloud Pay is still at it: what it shows of an order in the meantime need not be what becomes of it. */
function transforming(key: string, body: Buffer): Buffer {
  if (body[0] !== OPENING_BRACE) return body
  const outer = JSON.parse(body.toString('utf8')) as { response_content?: unknown; authen_info?: unknown }
  if (typeof outer.response_content !== 'string' || !outer.authen_info) return body
  const text = outer.response_content
    .replace(/"is_transforming": ?false/, '"is_transforming":true')
    .replace(/("wxpay_order_content_ext": ?\{ ?"current_trade_state": ?)\d+/, '$17')
    .replace(/("alipay_order_content_ext": ?\{ ?"current_trade_state": ?)\d+/, '$15')
  return sealedAnswer(key, text)
}

const OPENING_BRACE = 0x7b

/** Somebody in between says that it was paid. What they cannot do is sign it. */
function forged(body: Buffer, how: (typeof FORGERIES)[number], otherKey: string): Buffer {
  // A page of HTML, say: nothing to forge from.
  if (body[0] !== OPENING_BRACE) return body
  const outer = JSON.parse(body.toString('utf8')) as { response_content?: unknown; authen_info?: unknown }
  if (typeof outer.response_content !== 'string') return body
  const text = outer.response_content
    .replace(/"current_trade_state": ?\d+/g, '"current_trade_state":3')
    .replace(
      /"alipay_order_content_ext": ?\{"current_trade_state":3/,
      '"alipay_order_content_ext":{"current_trade_state":2',
    )
    .replace(/"state": ?\d+/g, '"state":2')
  if (how === 'no code') return Buffer.from(JSON.stringify({ response_content: text }))
  if (how === 'other key') return sealedAnswer(otherKey, text)
  return Buffer.from(JSON.stringify({ ...outer, response_content: text }))
}

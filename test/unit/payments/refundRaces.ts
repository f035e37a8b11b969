import { openShop, type Shop, type ShopOptions } from '../../support/shop'
import { lying, signedText } from '../../support/tamper'

/**
 * What goes wrong about refunds and late money only when two things happen in one moment, or after a silence: staged, because chance
 * rarely comes by. Each scene says what was violated. `planted.test.ts` plays them again with one guard taken away.
 */
type Scene = (open: (options?: ShopOptions) => Promise<Shop>) => Promise<string[]>

const R1 = { out_refund_no: 'sb01r1', refund_fee: 880 }
const rowOf = async (shop: Shop, number: string) =>
  (await shop.refunds(number)).find(({ out_refund_no }) => out_refund_no === 'sb01r1')!

/** One worker has counted its transmission; another has read the row before, and finds that there is no room. */
const sentAndWithdrawn: Scene = async (open) => {
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => (finish = resolve))
  let isSending: () => void = () => undefined
  const sending = new Promise<void>((resolve) => (isSending = resolve))
  let meanwhile: (() => Promise<void>) | undefined
  const shop = await open({
    wrapPost: (post) => async (url, body, options) => {
      const asked = JSON.parse(signedText(body)) as { out_refund_no?: string }
      if (url.endsWith('/query_refund_order') && asked.out_refund_no === undefined && meanwhile) {
        // The second worker has read that nothing was sent yet, and now asks for the list.
        const wait = meanwhile
        meanwhile = undefined
        await wait()
      }
      if (!url.endsWith('/refund')) return post(url, body, options)
      await options.beforeSend?.()
      isSending()
      await finished
      return post(url, body, { ...options, beforeSend: async () => undefined })
    },
  })
  const number = await shop.placePaid()
  // Recorded and not asked for: whoever recorded it has died.
  shop.faults['query_refund_order'] = ['silent']
  await shop.refund(number, R1)
  shop.pass(3)
  let first: Promise<unknown> = Promise.resolve()
  meanwhile = async () => {
    first = shop.refund(number, R1)
    await sending
    // Together they are more than was paid.
    shop.sandbox.refundInConsole(number, 1500)
  }
  await shop.allDue()
  await shop.timer()
  const { state, sends } = await rowOf(shop, number)
  const { reserved_fen } = await shop.order(number)
  finish()
  await first
  return state === 'requested' && sends === 1 && reserved_fen === 880
    ? []
    : [`sent ${sends} times and ${state}, with ${reserved_fen} reserved`]
}

/** The list has our number with another amount, and as done. */
const anotherUnderOurNumber: Scene = async (open) => {
  let isLying = false
  const shop = await open({
    refundDelayMs: 0,
    wrapPost: lying((content, suffix) => {
      if (isLying && suffix === 'query_refund_order' && content.query_refund_order)
        for (const one of content.query_refund_order.refund_order_content)
          if (one.out_refund_no === 'sb01r1') one.refund_fee = 900
    }),
  })
  const number = await shop.placePaid()
  await shop.refund(number, R1)
  isLying = true
  await shop.refund(number, { out_refund_no: 'sb01r2', refund_fee: 100 })
  const { state } = await rowOf(shop, number)
  const found = state === 'accepted' ? [] : [`ours is ${state} by what was said of another amount`]
  const kinds = await shop.anomalyKinds()
  return kinds.includes('refund_mismatch') ? found : [...found, 'nobody was told of the other amount']
}

/** The first transmission was not taken, the second is refused; from then on the far end would take it. */
const refusedRepeat: Scene = async (open) => {
  const shop = await open()
  const number = await shop.placePaid()
  shop.faults['refund'] = ['3', '104']
  await shop.refund(number, R1)
  shop.pass(3)
  await shop.refund(number, R1)
  const found: string[] = []
  const sent = () => shop.sent('refund').length
  const look = async (what: string, state: string) => {
    await shop.refund(number, R1)
    const row = await rowOf(shop, number)
    if (row.state !== state) found.push(`${what}: ${row.state} instead of ${state}`)
    if (sent() > 2) found.push(`${what}: sent ${sent()} times`)
  }
  shop.pass(3)
  await look('a moment after it was sent', 'requested')
  shop.pass(3)
  await look('a moment after that', 'requested')
  shop.pass(601)
  await look('ten minutes after it was sent', 'requested')
  shop.pass(10)
  await look('a moment later', 'requested')
  shop.pass(601)
  await look('ten minutes after that', 'failed')
  return found
}

/** A signed list names one refund under way twice: as it is, and as done. */
const namedTwice: Scene = async (open) => {
  const shop = await open({
    refundDelayMs: Infinity,
    wrapPost: lying((content, suffix) => {
      const list = content[suffix]?.refund_order_content
      if (suffix !== 'query_refund_order' || !Array.isArray(list)) return
      const [first] = list.filter((one) => one.out_refund_no === 'sb01r1')
      if (first) list.push({ ...first, wxpay_refund_order_content_ext: { state: 2 } })
    }),
  })
  const number = await shop.placePaid()
  await shop.refund(number, R1)
  await shop.refund(number, { out_refund_no: 'sb01r2', refund_fee: 100 })
  const { state } = await rowOf(shop, number)
  return state === 'accepted' ? [] : [`is ${state} by a list that says both`]
}

/** The texts of a closed order are purged, and then its bank brings money and tells of it once. */
const paidWhenPurged: Scene = async (open) => {
  const shop = await open({ env: { CLOSE_NOT_BEFORE: '0' } })
  const number = await shop.place()
  await shop.closeOrder(number)
  const gone = { request_content: '', jsapi_args: '{}', next_due_at_ms: null, purged_at: shop.nowS() }
  await shop.store.db.updateTable('orders').set(gone).execute()
  shop.sandbox.pay(number, { late: true })
  shop.pass(3)
  await shop.tell(shop.sandbox.notification(number))
  await shop.timer()
  const { state } = await shop.order(number)
  return state === 'closed' ? ['is closed, and its money is with the shop'] : []
}

export const SCENES: Readonly<Record<string, Scene>> = {
  'a refund that one worker is sending is not released because another finds no room': sentAndWithdrawn,
  'our number with another amount never settles ours': anotherUnderOurNumber,
  'a list that names a refund twice settles nothing': namedTwice,
  'money for a purged order is heard of': paidWhenPurged,
  'nothing is sent after a refused repeat, and it has failed after two silences': refusedRepeat,
}

/** All of them, one after the other. */
export async function violations(): Promise<string[]> {
  const found: string[] = []
  for (const [name, play] of Object.entries(SCENES))
    found.push(...(await playScene(play)).map((what) => `${name}: ${what}`))
  return found
}

export async function playScene(play: Scene): Promise<string[]> {
  const shops: Shop[] = []
  try {
    return await play(async (options) => {
      const shop = await openShop(options)
      shops.push(shop)
      return shop
    })
  } finally {
    for (const shop of shops) await shop.close()
  }
}

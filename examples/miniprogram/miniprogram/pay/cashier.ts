import {
  createClient,
  isSettled,
  PayError,
  wxTransport,
  type BaseUrls,
  type Client,
  type OrderStatus,
  type OrderView,
  type OrderWish,
} from '../lib/cloud-pay'
import type { Payment, Phone } from './phone'

export type Settings = { base: BaseUrls; appId: string; sandbox?: string }

export type Wish = { sku: string; quantity: number }

/** `asked`: the wallet was closed without a word against it. Whether it was paid only the order says. */
export type Asked = 'asked' | 'cancelled'

export type Cashier = ReturnType<typeof createCashier>

/**
 * Login, order, payment and the look at what became of it. One purchase is one order, however often the button is
 * pressed and wherever the mini-program was closed in between: its key is kept on the phone until the order is settled.
 */
export function createCashier(phone: Phone, { base, appId }: Settings) {
  let client: Promise<Client> | undefined
  const waiting = new Map<string, Promise<OrderView>>()

  /** The secret stays here, and the session ends with the mini-program: the next start logs in anew, unseen. */
  async function logIn(): Promise<Client> {
    const fresh = createClient({ base, transport: wxTransport((options) => phone.request(options)) })
    const [code, secret] = await Promise.all([askCode(phone), makeSecret(phone)])
    await fresh.login({ app_id: appId, code, secret })
    return fresh
  }

  function loggedIn(): Promise<Client> {
    client ??= logIn()
    // A login that failed is not kept.
    client.catch(() => (client = undefined))
    return client
  }

  /** A session that has ended is replaced once. What is sent again is the same purchase, under the same key. */
  async function withSession<T>(call: (client: Client) => Promise<T>): Promise<T> {
    const used = await loggedIn()
    try {
      return await call(used)
    } catch (error) {
      if (!(error instanceof PayError) || !['session_ended', 'caller_unknown'].includes(error.code))
        throw error
      client = undefined
      return call(await loggedIn())
    }
  }

  const keyName = ({ sku, quantity }: Wish) => `purchase:${sku}:${quantity}`

  async function keyOf(wish: Wish): Promise<string> {
    const kept = phone.getStorageSync(keyName(wish))
    if (typeof kept === 'string' && kept) return kept
    const key = await makeSecret(phone)
    phone.setStorageSync(keyName(wish), key)
    return key
  }

  /**
   * The order for this wish: a new one, or the one there is. Here the catalogue says what it costs; with a server of
   * your own, fetch a quote from it (see examples/merchant-server) and send `{ quote }` in the place of sku and quantity.
   */
  async function order(wish: Wish): Promise<OrderView> {
    const body: OrderWish = { sku: wish.sku, quantity: wish.quantity }
    const key = await keyOf(wish)
    const found = await withSession((known) => known.createOrder(body, key))
    if (!isSettled(found)) return found
    // That purchase is over: this is the next one.
    phone.removeStorageSync(keyName(wish))
    const next = await keyOf(wish)
    return withSession((known) => known.createOrder(body, next))
  }

  return {
    /** Pressed twice, it is one order. Throws a PayError; its `problem.detail.zh` is for people. */
    order(wish: Wish): Promise<OrderView> {
      const name = keyName(wish)
      const running = waiting.get(name) ?? order(wish).finally(() => waiting.delete(name))
      waiting.set(name, running)
      return running
    },

    /** Opens the wallet with what createOrder answered, unchanged. A payer who cancels is no error. */
    pay: (payment: Payment): Promise<Asked> =>
      new Promise((resolve) => {
        phone.requestPayment({
          ...payment,
          success: () => resolve('asked'),
          // Any other failure says nothing about the money: the order is asked.
          fail: ({ errMsg }) => resolve(/cancel/i.test(errMsg) ? 'cancelled' : 'asked'),
        })
      }),

    /** Looks at the order until it is settled or `stop` says that nobody watches any more. */
    watch: (number: string, onLook: (order: OrderStatus | undefined) => void, stop: () => boolean) =>
      withSession((known) => known.waitUntilSettled(number, { onLook, stop })),

    /** One look, without asking Cloud Pay: for coming back to the page. */
    read: (number: string): Promise<OrderStatus> => withSession((known) => known.readOrder(number)),
  }
}

const askCode = (phone: Phone): Promise<string> =>
  new Promise((resolve, reject) => {
    phone.login({ success: ({ code }) => resolve(code), fail: ({ errMsg }) => reject(new Error(errMsg)) })
  })

/** 32 random bytes as base64url. */
const makeSecret = (phone: Phone): Promise<string> =>
  new Promise((resolve, reject) => {
    phone.getRandomValues({
      length: 32,
      success: ({ randomValues }) =>
        resolve(
          phone.arrayBufferToBase64(randomValues).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, ''),
        ),
      fail: ({ errMsg }) => reject(new Error(errMsg)),
    })
  })

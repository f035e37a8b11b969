import { createHash } from 'node:crypto'
import { ROOT } from '../../deploy/bundle'
import { startGateway, type Gateway } from '../../local/gateway'
import { TIME_LIMIT_MS } from '../../local/machine'
import { sandboxEnv } from '../../local/sandbox/env'
import { startSandbox, type SandboxServer } from '../../local/sandbox/server'
import { buildBundles } from '../support/bundles'
import { fileStore, freshNumber } from '../support/world'

/** Every way of paying once, over HTTP: the gateway, the functions as built, the sandbox, a database in a file. */
let far: SandboxServer
let gateway: Gateway
beforeAll(async () => {
  jest.spyOn(process.stdout, 'write').mockReturnValue(true)
  far = await startSandbox()
  const bundles = await buildBundles('machine', ['sqlite'])
  const { store, path } = await fileStore()
  await store.close()
  Object.assign(process.env, sandboxEnv(far.baseUrl, `sqlite:${path}`, '127.0.0.1'))
  const options = { root: ROOT, bundles, host: '127.0.0.1', port: 0, timeLimitMs: TIME_LIMIT_MS }
  gateway = await startGateway(options)
})
afterAll(async () => {
  jest.restoreAllMocks()
  await gateway.close()
  await far.close()
})

type Json = Record<string, unknown>
const post = async (url: string, body: unknown): Promise<{ status: number; body: Json }> => {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Json }
}
const order = (body: unknown) => post(`${gateway.origin}/orders`, body)
const sandbox = (what: string, out_trade_no: string) =>
  post(`${far.origin}/_sandbox/${what}`, { out_trade_no })
const read = async (number: string) =>
  (await (await fetch(`${gateway.origin}/orders/${number}?refresh=1`)).json()) as Json
const sent = (suffix: string, number: string) =>
  far.sandbox.received.filter((one) => one.interface === suffix && one.request_content?.includes(number))

const SCENE_INFO = '{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"湖心"}}'
const PAYER = { wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } }
const MINI = { wxpay_pay_mch_key_ext: { mini_program_sub_app_id: 'wxmini1', sub_open_id: 'oTestPayer0001' } }

type Scene = {
  suffix: string
  names: string[]
  key?: object
  content?: object
  client?: object
  type: number
}
const SCENES: Scene[] = [
  { suffix: 'scan_code_pay', type: 2, names: ['code_url'] },
  {
    suffix: 'mob_web_pay',
    type: 6,
    names: ['mweb_url'],
    content: { wxpay_pay_content_ext: { scene_info: SCENE_INFO } },
    client: { spbill_create_ip: '203.0.113.7' },
  },
  {
    suffix: 'app_pay',
    type: 4,
    names: ['appId', 'nonceStr', 'packageValue', 'partnerId', 'prepayId', 'sign', 'timeStamp'],
    key: { wxpay_pay_mch_key_ext: { mob_app_id: 'wxapp1' } },
  },
  {
    suffix: 'official_account_pay',
    type: 3,
    names: ['appId', 'nonceStr', 'package', 'paySign', 'signType', 'timeStamp'],
    key: PAYER,
  },
  {
    suffix: 'mini_program_pay',
    type: 9,
    names: ['nonceStr', 'package', 'paySign', 'signType', 'timeStamp'],
    key: MINI,
  },
]

test.each(SCENES)(
  '$suffix: ordered, handed over, repeated, paid and read back',
  async ({ suffix, type, names, key, content, client }) => {
    const number = freshNumber()
    const body = {
      pay_content: { out_trade_no: number, total_fee: 1880, body: '湖心奶茶-大杯', ...content },
      pay_mch_key: { pay_platform: 1, ...key },
      ...(client ? { order_client: client } : {}),
      trade_type: type,
    }
    const made = await order(body)
    expect([made.status, made.body['state'], made.body['trade_type']]).toEqual([201, 'pending', type])
    const payment = made.body['payment'] as Record<string, string>
    expect(Object.keys(payment).sort()).toEqual(names)
    if (type === 4) {
      const { appId, nonceStr, packageValue, partnerId, prepayId, timeStamp } = payment
      const text = `appid=${appId}&noncestr=${nonceStr}&package=${packageValue}&partnerid=${partnerId}&prepayid=${prepayId}&timestamp=${timeStamp}&key=sandboxsandboxsandboxsandbox0001`
      expect(payment['sign']).toBe(createHash('md5').update(text).digest('hex').toUpperCase())
    }
    const again = await order(body)
    expect([again.status, again.body['payment']]).toEqual([200, payment])
    expect(sent(suffix, number)).toHaveLength(1)

    await sandbox('pay', number)
    expect(await read(number)).toMatchObject({ state: 'paid', refreshed: true, total_fee: 1880 })
  },
)

describe('micro_pay', () => {
  const scan = (end: string, out_trade_no: string) =>
    order({
      pay_content: {
        out_trade_no,
        total_fee: 1880,
        body: '湖心-上海人民广场店-大杯',
        author_code: `13456789012345${end}`,
      },
      pay_mch_key: { pay_platform: 1 },
      trade_type: 1,
    })
  const close = (number: string) => post(`${gateway.origin}/orders/${number}/close`, {})

  test('paid at once is answered so, after a query of our own', async () => {
    const number = freshNumber()
    const { status, body } = await scan('1111', number)
    expect([status, body['state'], body['payment']]).toEqual([201, 'paid', undefined])
    expect(sent('query_order', number)).toHaveLength(1)
  })

  test.each(['0009', '4071', '0003'])('undecided (%s) cannot be closed, and is paid later', async (end) => {
    const number = freshNumber()
    expect([201, 504]).toContain((await scan(end, number)).status)
    expect(await close(number)).toMatchObject({ status: 409, body: { code: 'micro_pay_not_closable' } })
    await sandbox('pay', number)
    expect(await read(number)).toMatchObject({ state: 'paid', refreshed: true })
    expect(sent('close_order', number)).toEqual([])
  })

  test('given up by the payer ends closed, without our asking for it', async () => {
    const number = freshNumber()
    expect((await scan('0099', number)).body['state']).toBe('pending')
    await sandbox('cancel', number)
    expect(await read(number)).toMatchObject({ state: 'closed', refreshed: true })
    expect(sent('close_order', number)).toEqual([])
  })

  test('refused by the wallet is refused', async () => {
    expect(await scan('0104', freshNumber())).toMatchObject({
      status: 502,
      body: { code: 'cloud_pay_refused' },
    })
  })
})

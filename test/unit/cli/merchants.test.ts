import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  addMerchant,
  Refused,
  rewrapAll,
  setDisabled,
  setLists,
  type Desk,
} from '../../../cli/merchants/change'
import { readConfig, SANDBOX_MERCHANT } from '../../../shared/base/config'
import { systemRandom } from '../../../shared/base/random'
import { systemClock } from '../../../shared/base/time'
import { joinMerchants } from '../../../shared/base/merchants'
import { CommitUnknown } from '../../../shared/store/connection'
import { listMerchants } from '../../../shared/store/merchants'
import { migrate } from '../../../shared/store/migrate'
import type { Store } from '../../../shared/store/open'
import { runCommand } from '../../support/cli'
import { otherMerchants } from '../../support/shop'
import { merchantFile, serverKey, tradeEnv } from '../../support/trade'
import { fileStore, memoryStore } from '../../support/world'

/** What an operator types, and what is refused before it can do harm. */
const [one, two, three] = otherMerchants(3) as [
  ReturnType<typeof otherMerchants>[number],
  ReturnType<typeof otherMerchants>[number],
  ReturnType<typeof otherMerchants>[number],
]
const app = (app_id: string) => ({
  app_id,
  kind: 'mini_program',
  id_field: 'sub_open_id',
  secret: 'wechat-secret-of-an-app',
})
const quoteKey = (name: string, iss: string) => ({
  ...{ name, iss, alg: 'HS256', secret: 'quote-secret-0123456789-0123456789' },
})

describe('what is added', () => {
  let store: Store
  let desk: Desk
  beforeEach(async () => {
    store = await memoryStore()
    desk = { config: readConfig(tradeEnv, true), store, clock: systemClock, random: systemRandom }
    const lists = {
      merchant_keys: [serverKey(0)],
      apps: [app('wx0000000001')],
      quote_keys: [quoteKey('q0', 'shop0')],
    }
    await addMerchant(desk, merchantFile(one, lists))
  })
  afterEach(() => store.close())

  /** Cloud Pay as it is deployed, where nothing the sandbox publishes is taken. */
  const real = {
    CLOUD_PAY_BASE_URL: 'https://pay.example/cpay/',
    CLOUD_PAY_AUTHEN_KEY: 'a-real-key',
    SESSION_KEYS: JSON.stringify([{ name: 's', secret: 'session-secret-0123456789-0123456789' }]),
    CALLERS: '',
  }

  test.each<[string, unknown, string, Record<string, string>?]>([
    ['no JSON', undefined, 'it must be one JSON object'],
    ['a list', [two], 'it must be one JSON object'],
    ['a member nobody knows', { ...two, merchantKeys: [] }, '1 of its members are none of out_sub_mch_id'],
    ['no key', { ...two, authen_key: undefined }, 'it has no usable authen_key'],
    ['a key with a blank', { ...two, authen_key: 'a-key with-a-blank' }, 'it has no usable authen_key'],
    ['a number as an id', { ...two, out_mch_id: 7 }, 'it has no usable out_mch_id'],
    ['an id that is there', one, 'sub00 is there already'],
    [
      "the environment's id",
      { ...two, out_sub_mch_id: SANDBOX_MERCHANT.out_sub_mch_id },
      'repeats an out_sub',
    ],
    ['a prefix that is there', { ...two, order_prefix: 'm00' }, 'an order_prefix that begins another'],
    ['a prefix that begins another', { ...two, order_prefix: 'm' }, 'an order_prefix that begins another'],
    ['a prefix that another begins', { ...two, order_prefix: 'm00x' }, 'an order_prefix that begins another'],
    ["the environment's prefix", { ...two, order_prefix: 'sb01x' }, 'an order_prefix that begins another'],
    ['too long a prefix', { ...two, order_prefix: 'x'.repeat(19) }, 'too long an order_prefix'],
    ["another's app", { ...two, apps: [app('wx0000000001')] }, 'apps has one app_id twice'],
    ["another's server key", { ...two, merchant_keys: [serverKey(0)] }, 'merchant_keys has one name twice'],
    [
      "another's quote key",
      { ...two, quote_keys: [quoteKey('q0', 'shop1')] },
      'quote_keys has one name twice',
    ],
    ["another's issuer", { ...two, quote_keys: [quoteKey('q1', 'shop0')] }, 'one iss for two sub-merchants'],
    [
      'a key for another',
      { ...two, merchant_keys: [{ ...serverKey(1), out_sub_mch_id: 'sub00' }] },
      'merchant_keys has no usable out_sub_mch_id in entry 1',
    ],
    [
      'lists that are none',
      { ...two, apps: 'wx', quote_keys: {} },
      'apps must be a JSON list; quote_keys must be',
    ],
    [
      'a key of the sandbox, for the real one',
      { ...two, authen_key: SANDBOX_MERCHANT.authen_key },
      'authen_key is the key the sandbox publishes',
      real,
    ],
  ])('is refused with %s, and nothing is changed', async (_what, given, why, env = {}) => {
    const before = await listMerchants(store)
    const config = readConfig({ ...tradeEnv, ...env }, true)
    const adding = addMerchant({ ...desk, config }, given === undefined ? '{"a":' : JSON.stringify(given))
    const refusal = await adding.then(
      () => undefined,
      (error: Error) => error,
    )
    expect(refusal).toBeInstanceOf(Refused)
    expect(refusal!.message).toContain(why)
    for (const secret of [one.authen_key, two.authen_key, 'blank', serverKey(0).secret, 'wechat-secret'])
      expect(refusal!.message).not.toContain(secret)
    expect(await listMerchants(store)).toEqual(before)
  })

  test('with an app needs keys for sessions', async () => {
    const config = readConfig({ ...tradeEnv, SESSION_KEYS: '' }, true)
    const fresh = await memoryStore()
    const adding = addMerchant({ ...desk, config, store: fresh }, merchantFile(two, { apps: [app('wx2')] }))
    await expect(adding).rejects.toThrow('apps need SESSION_KEYS')
    await fresh.close()
  })

  test('is not compared with what cannot be read, so it is refused; closing and turning off are not', async () => {
    await addMerchant(desk, merchantFile(two))
    await store.db
      .updateTable('merchants')
      .set({ sealed: 'x' })
      .where('out_sub_mch_id', '=', 'sub00')
      .execute()
    await expect(addMerchant(desk, merchantFile(three))).rejects.toThrow('cannot be read')
    await expect(setLists(desk, 'sub01', '{"apps":[]}')).rejects.toThrow('cannot be read')
    await expect(rewrapAll(desk)).rejects.toThrow('sub00 cannot be opened with DATA_KEYS')
    await setDisabled(desk, 'sub00', true)
    await setDisabled(desk, 'sub01', true)
    // Twice is once.
    await setDisabled(desk, 'sub01', true)
    expect((await listMerchants(store)).map(({ version }) => version)).toEqual([2, 2])
  })

  test('by several at once is all there, or refused: no two have one prefix, nor keys of one name', async () => {
    const prefixed = (at: number) => ({ ...two, out_sub_mch_id: `same${at}`, order_prefix: 'same' })
    const named = (at: number) => ({ ...two, out_sub_mch_id: `named${at}`, order_prefix: `named${at}` })
    const outcomes = await Promise.allSettled([
      ...[0, 1].map((at) => addMerchant(desk, merchantFile(prefixed(at)))),
      ...[0, 1].map((at) => addMerchant(desk, merchantFile(named(at), { merchant_keys: [serverKey(7)] }))),
      addMerchant(desk, merchantFile(three)),
    ])
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    const rows = await listMerchants(store)
    expect(joinMerchants(desk.config, rows).leftOut).toEqual([])
    const prefixes = rows.map(({ order_prefix }) => order_prefix.replace(/^named./, 'named')).sort()
    expect(prefixes).toEqual(['m00', 'm02', 'named', 'same'])
  })

  test('is decided about anew when somebody was faster after the others had been read', async () => {
    const { connection } = store
    const named = (each: typeof two) => merchantFile(each, { merchant_keys: [serverKey(7)] })
    let faster: Promise<string> | undefined
    const slow = {
      inTransaction: connection.inTransaction.bind(connection),
      run: async (query: Parameters<typeof connection.run>[0]) => {
        const said = await connection.run(query)
        if (/from .merchants/.test(query.sql)) await (faster ??= addMerchant(desk, named(two)))
        return said
      },
    }
    const adding = addMerchant(
      { ...desk, store: { ...store, connection: slow } as unknown as Store },
      named(three),
    )
    await expect(adding).rejects.toThrow('merchant_keys has one name twice')
    expect((await listMerchants(store)).map(({ out_sub_mch_id }) => out_sub_mch_id)).toEqual([
      'sub00',
      'sub01',
    ])
  })

  test('is added when only the answer to its COMMIT was lost, and is not added twice', async () => {
    const { connection } = store
    let lost = 0
    const losing = {
      run: connection.run.bind(connection),
      inTransaction: async (work: Parameters<typeof connection.inTransaction>[0]) => {
        await connection.inTransaction(work)
        if (lost++ === 0) throw new CommitUnknown('commit unknown')
      },
    }
    const unlucky = { ...store, connection: losing } as unknown as Store
    expect(await addMerchant({ ...desk, store: unlucky }, merchantFile(two))).toBe('sub01')
    expect((await listMerchants(store)).map(({ version }) => version)).toEqual([1, 1])
    expect(lost).toBe(1)
  })
})

describe('npm run merchants', () => {
  const dir = mkdtempSync(join(tmpdir(), 'merchants-'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  const cli = (args: string[], input = '', env: Record<string, string> = {}) =>
    runCommand('cli/merchants.ts', args, {
      input,
      env: { ...tradeEnv, DATABASE_URL: `sqlite:${join(dir, 'orders.db')}`, ...env },
    })

  test('adds, lists, rotates, disables and seals anew, and never shows a secret', async () => {
    const { store } = await fileStore(join(dir, 'orders.db'))
    await migrate(store)
    const file = join(dir, 'sub00.json')
    const lists = {
      merchant_keys: [serverKey(0)],
      apps: [app('wx0000000001')],
      quote_keys: [quoteKey('q0', 'shop0')],
    }
    writeFileSync(file, merchantFile(one, lists))
    const said: string[] = []
    const run = async (args: string[], input?: string, env?: Record<string, string>) => {
      const { code, stdout, stderr } = await cli(args, input, env)
      said.push(stdout, stderr)
      return [code, stdout] as const
    }
    const list = async (env?: Record<string, string>) => (await run(['list'], '', env))[1]

    expect(await run(['add', file])).toEqual([0, 'added: sub00\n'])
    expect(await run(['add', '-'], merchantFile(two))).toEqual([0, 'added: sub01\n'])
    expect((await run(['add', '-'], merchantFile(two)))[0]).toBe(1)
    const first = await list()
    expect(first).toMatch(/^sandboxsub0000000001 {2}sb01 {2}in the environment {2}key [0-9a-f]{8}$/m)
    expect(first).toMatch(
      /^sub00 {2}m00 {2}active {2}changed \S+ {2}sealed with 2026-11 {2}key [0-9a-f]{8}$/m,
    )
    expect(first).toContain(
      '  app    wx0000000001  mini_program\n  key    server-0  create, read, close, refund\n',
    )
    expect(first).toContain('  quote  q0  shop0  HS256\n')

    const keyIn = (text: string) => /^sub00 .*key ([0-9a-f]{8})/m.exec(text)![1]
    // The line break is the editor's.
    expect(await run(['rotate', 'sub00', '-'], 'the-new-key\n')).toEqual([0, 'rotated: sub00\n'])
    const second = await list()
    expect(keyIn(second)).not.toBe(keyIn(first))
    expect(second).toContain(`, ${keyIn(first)} still accepted`)
    expect(await run(['rotate', 'sub00', '--finish'])).toEqual([0, 'finished: sub00\n'])
    expect(await list()).not.toContain('still accepted')
    expect(await run(['rotate', 'sub00', '-', '--compromised'], 'a-newer-key')).toEqual([
      0,
      'rotated: sub00\n',
    ])
    expect(await list()).not.toContain('still accepted')
    expect(await run(['rotate', 'sub00', '--finish'])).toEqual([
      1,
      'nothing was changed: no rotation is under way\n',
    ])

    expect(await run(['disable', 'sub01'])).toEqual([0, 'disabled: sub01\n'])
    expect(await list()).toMatch(/^sub01 {2}m01 {2}disabled \d/m)
    expect(await run(['enable', 'sub01'])).toEqual([0, 'enabled: sub01\n'])
    expect(await run(['set', 'sub00', '-'], '{"apps":[]}')).toEqual([0, 'set: sub00\n'])
    const nobody = /^sub00 .*\n {2}no refund_operator/m
    expect(await list()).toMatch(nobody)
    const operator = '{"refund_operator":{"is_sub_mch_admin":true}}'
    expect(await run(['set', 'sub00', '-'], operator)).toEqual([0, 'set: sub00\n'])
    expect(await list()).not.toMatch(nobody)
    expect(await run(['set', 'sub00', '-'], '{"refund_operator":{"staff":1}}')).toEqual([
      1,
      'nothing was changed: it has no usable refund_operator\n',
    ])
    expect(await run(['set', 'sub00', '-'], '{"refund_operator":null}')).toEqual([0, 'set: sub00\n'])
    expect(await list()).toMatch(nobody)
    expect(await list()).not.toContain('wx0000000001')

    const newer = { name: '2027-02', secret: 'another-data-key-0123456789abcdefghij' }
    const both = { DATA_KEYS: JSON.stringify([newer, ...(JSON.parse(tradeEnv.DATA_KEYS) as object[])]) }
    const alone = { DATA_KEYS: JSON.stringify([newer]) }
    expect(await list(alone)).toMatch(/^sub00 {2}m00 {2}NOT SERVED: sealed cannot be opened with DATA_KEYS$/m)
    expect(await run(['rewrap'], '', both)).toEqual([0, 'sealed anew: 2\n'])
    expect(await list(alone)).toMatch(/^sub00 .*sealed with 2027-02/m)

    const kept = JSON.stringify(await store.db.selectFrom('merchants').selectAll().execute())
    for (const text of [said.join('\n'), kept])
      for (const secret of [
        ...[one.authen_key, two.authen_key, 'the-new-key', 'a-newer-key', serverKey(0).secret],
        ...['wechat-secret-of-an-app', 'quote-secret', newer.secret],
      ])
        expect(text).not.toContain(secret)
    await store.close()
  })

  test.each([
    [[]],
    [['remove', 'sub00']],
    [['add']],
    [['list', 'sub00']],
    [['rotate', 'sub00']],
    [['rotate', 'sub00', '--finish', '--compromised']],
    [['disable', 'sub00', '--compromised']],
    [['list', '--all']],
  ])('tells its usage when called with %j', async (args) => {
    const { code, stderr } = await cli(args)
    expect([code, stderr]).toEqual([2, expect.stringContaining('npm run merchants -- list')])
  })

  test('needs DATA_KEYS, and says so', async () => {
    const { code, stderr } = await cli(['list'], '', { DATA_KEYS: '' })
    expect([code, stderr]).toEqual([1, 'DATA_KEYS is missing\n'])
  })
})

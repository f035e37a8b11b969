import { createHash } from 'node:crypto'
import { SANDBOX_APPS } from '../../../local/sandbox/logins'
import type { Question } from '../../../shared/net/ask'
import { NetFault } from '../../../shared/net/post'
import { resolveAnomaly } from '../../../shared/store/anomalies'
import { otherMerchants, type ShopOptions } from '../../support/shop'
import { freshSecret, openTown, type Town } from '../../support/town'

let town: Town
const open = async (options: ShopOptions = {}) => (town = await openTown(options))
afterEach(() => town.close())

const MINI = SANDBOX_APPS.mini_program
const OFFI = SANDBOX_APPS.official_account
const hashOf = (secret: string) =>
  createHash('sha256').update(Buffer.from(secret, 'base64url')).digest('base64url')
const login = (body: Record<string, unknown>, more: Parameters<Town['call']>[2] = {}) =>
  town.call('POST', '/session', { body: { app_id: MINI, secret: freshSecret(), ...body }, ...more })
const codes = async (body: Record<string, unknown>) => {
  const answer = await login(body)
  return [answer.statusCode, answer.body.code] as const
}

describe('a login', () => {
  test.each([
    ['mini_program', 'wechat'],
    ['official_account', 'wechat'],
    ['alipay', 'alipay'],
  ] as const)('of a %s asks once and answers with half of a credential', async (kind, whom) => {
    await open()
    const payer = await town.login(kind)
    expect(town.logins.asked[whom]).toBe(1)
    expect((await payer.call('GET', '/orders/sb01x')).body.code).toBe('order_not_found')
    expect(payer.token).not.toContain(payer.secret)
  })

  test('answers what the client needs and nothing else', async () => {
    await open()
    const { statusCode, body, headers } = await login({ code: town.logins.codeFor(MINI) })
    expect([statusCode, headers['cache-control']]).toEqual([201, 'no-store'])
    expect(Object.keys(body as object).sort()).toEqual(['app_id', 'expires_at', 'expires_in', 'token'])
    expect(body).toMatchObject({ expires_in: 7200, expires_at: town.nowS() + 7200 })
  })

  test('takes a code once, of this app, while it is fresh', async () => {
    await open()
    const code = town.logins.codeFor(MINI)
    expect((await login({ code })).statusCode).toBe(201)
    expect(await codes({ code })).toEqual([401, 'login_refused'])
    expect(await codes({ code: town.logins.codeFor(OFFI) })).toEqual([401, 'login_refused'])
    expect(await codes({ code: 'nonsense' })).toEqual([401, 'login_refused'])
    const old = town.logins.codeFor(MINI)
    town.pass(301)
    expect(await codes({ code: old })).toEqual([401, 'login_refused'])
  })

  test('with an app nobody configured, or what is no code or secret, touches neither database nor WeChat', async () => {
    await open()
    const code = town.logins.codeFor(MINI)
    town.database.said = 0
    const bad: [Record<string, unknown>, string][] = [
      [{ app_id: 'wxunknown', code }, 'app_unknown'],
      [{ code: 'with blanks' }, 'body_invalid'],
      [{ code: `${code}&secret=x` }, 'body_invalid'],
      [{ code: 'x'.repeat(257) }, 'body_invalid'],
      [{}, 'body_invalid'],
      [{ code, secret: 'short' }, 'body_invalid'],
      [{ code, secret: `${freshSecret()}=` }, 'body_invalid'],
      [{ code, payer_id: 'oMe' }, 'body_invalid'],
      [{ code, state: '0'.repeat(64) }, 'login_refused'],
      [{ app_id: OFFI, code: town.logins.codeFor(OFFI) }, 'login_refused'],
      [{ app_id: OFFI, code: town.logins.codeFor(OFFI), state: '0'.repeat(64) }, 'login_refused'],
    ]
    for (const [body, expected] of bad) expect((await codes(body))[1]).toBe(expected)
    expect([town.database.said, town.logins.asked.wechat]).toEqual([0, 0])
  })

  test.each([
    ['/session', () => ({ app_id: MINI, code: 'abc', secret: freshSecret() })],
    ['/session/state', () => ({ app_id: OFFI, secret_hash: hashOf(freshSecret()) })],
  ])('%s takes 4 KB and no more, and parses nothing of what is larger', async (path, body) => {
    await open()
    const full = JSON.stringify(body()).padEnd(4096)
    const answers = [await town.call('POST', path, { body: full })]
    const parse = jest.spyOn(JSON, 'parse')
    const larger = [`${full} `, '['.repeat(4097), '{"a":1,'.repeat(9000)]
    for (const one of larger) {
      parse.mockClear()
      const answer = await town.call('POST', path, { body: one })
      // The test reads the answer, and compares it with its description.
      expect(parse.mock.calls.filter(([text]) => text === one)).toEqual([])
      answers.push(answer)
    }
    parse.mockRestore()
    expect(answers[0]!.body.code).not.toBe('body_too_large')
    expect(answers.slice(1).map(({ statusCode, body }) => [statusCode, body.code])).toEqual(
      larger.map(() => [413, 'body_too_large']),
    )
  })

  test.each([
    ['busy', 'mini_program'],
    ['gibberish', 'mini_program'],
    ['busy', 'alipay'],
    ['gibberish', 'alipay'],
  ] as const)('when they are %s (%s) is unavailable, not refused', async (mood, kind) => {
    await open()
    town.logins.mood.now = mood
    await expect(town.login(kind)).rejects.toThrow('login_unavailable')
  })

  test.each(['timeout', 'connection', 'answer_too_large'] as const)(
    'over a network with %s too',
    async (why) => {
      await open({ overrides: { ask: () => Promise.reject(new NetFault(why)) } })
      expect(await codes({ code: 'abc' })).toEqual([503, 'login_unavailable'])
      expect(town.log).toContainEqual(expect.objectContaining({ event: 'login.failed', why }))
    },
  )

  test.each([
    [{ errcode: 40125 }, 'misconfigured'],
    [{ errcode: 45011 }, 'unavailable'],
    [{ errcode: 99999 }, 'unavailable'],
    [{ errcode: '40029' }, 'unavailable'],
    [{ openid: 'x' }, 'unavailable'],
    [{ openid: 7 }, 'unavailable'],
    [{ openid: "o'; drop table" }, 'unavailable'],
    [[], 'unavailable'],
    ['oPayer0001', 'unavailable'],
    [{ openid: 'oPayer0001', errcode: 40029 }, undefined],
  ])('answered %j is nobody’s', async (said, outcome) => {
    const ask = async () => ({ status: 200, body: Buffer.from(JSON.stringify(said)) })
    await open({ overrides: { ask } })
    expect((await login({ code: 'abc' })).statusCode).toBe(outcome ? 503 : 401)
    if (outcome) expect(town.log.map(({ count }) => count)).toContain(`login.${outcome}`)
  })

  test('sends the app’s secret to WeChat and nowhere else', async () => {
    const asked: Question[] = []
    const ask = async (question: Question) => {
      asked.push(question)
      return { status: 200, body: Buffer.from('{"errcode":40029,"errmsg":"invalid code"}') }
    }
    await open({ overrides: { ask } })
    const answer = await login({ code: 'abc' })
    const { secret } = town.logins.apps[0]!
    expect(asked[0]!.url).toBe(
      `http://127.0.0.1:1/wechat/sns/jscode2session?appid=${MINI}&secret=${secret}&js_code=abc&grant_type=authorization_code`,
    )
    expect(JSON.stringify([answer.body, town.log])).not.toContain(secret)
  })

  test('of Alipay is believed only with Alipay’s signature, over the text as it came', async () => {
    const app_id = SANDBOX_APPS.alipay
    const changes: [string, (text: string) => string][] = [
      ['as it is', (text) => text],
      ['another person', (text) => text.replace('2088000000000001', '2088000000000002')],
      ['a blank more', (text) => text.replace('"user_id":', '"user_id": ')],
      ['no signature', (text) => text.replace(/,"sign":".*"/, '')],
      ['a second answer in front', (text) => `{"x":{"user_id":"2088000000000002"},${text.slice(1)}`],
    ]
    await open()
    const honest = town.logins
    for (const [what, change] of changes) {
      await town.close()
      await open({
        overrides: {
          ask: async ({ method, url, body }) => {
            const reply = honest.handle({ method, url: new URL(url), body: body! })!
            return { status: 200, body: Buffer.from(change(reply.body)) }
          },
        },
        env: {
          CLOUD_PAY_APPS: JSON.stringify(
            honest.apps.map((app) => ({ ...app, alipay_public_key: honest.alipayPublicKey(), state: false })),
          ),
        },
      })
      const code = honest.codeFor(app_id)
      const { statusCode } = await login({ app_id, code })
      expect([what, statusCode]).toEqual([what, what === 'as it is' ? 201 : 503])
    }
  })
})

describe('the state of a redirect', () => {
  const begin = async (secret: string, app_id: string = OFFI) =>
    (await town.call('POST', '/session/state', { body: { app_id, secret_hash: hashOf(secret) } })).body
      .state as string
  const back = (secret: string, state: string, app_id: string = OFFI) =>
    codes({ app_id, secret, state, code: town.logins.codeFor(app_id) })

  test('brings the browser back once, within ten minutes', async () => {
    await open()
    const secret = freshSecret()
    const state = await begin(secret)
    // WeChat takes letters and digits, at most 128.
    expect(state).toMatch(/^[0-9a-z]{1,128}$/)
    expect(await back(secret, state)).toEqual([201, undefined])
    expect(await back(secret, state)).toEqual([401, 'login_refused'])
    const late = await begin(secret)
    town.pass(600)
    expect(await back(secret, late)).toEqual([401, 'login_refused'])
  })

  test('is this browser’s: a link with another’s code and state logs nobody in', async () => {
    await open()
    const attackers = await begin(freshSecret())
    expect(await back(freshSecret(), attackers)).toEqual([401, 'login_refused'])
    expect(town.logins.asked.wechat).toBe(0)
  })

  test('is this app’s, and is not to be made up', async () => {
    await open()
    const secret = freshSecret()
    const state = await begin(secret)
    expect(await back(secret, state, SANDBOX_APPS.alipay)).toEqual([401, 'login_refused'])
    const later = (parseInt(state.slice(0, 8), 16) + 600).toString(16) + state.slice(8)
    expect(await back(secret, later)).toEqual([401, 'login_refused'])
    for (let at = 0; at < state.length; at++) {
      const changed = state.slice(0, at) + (state[at] === '0' ? '1' : '0') + state.slice(at + 1)
      expect([at, (await back(secret, changed))[0]]).toEqual([at, 401])
    }
  })

  test('costs the database nothing to make', async () => {
    await open()
    town.database.said = 0
    for (let at = 0; at < 100; at++) await begin(freshSecret())
    expect(town.database.said).toBe(0)
  })
})

describe('too many logins', () => {
  const from = (address: string) => ({ event: { requestContext: { sourceIp: address } } })
  const attempt = async (address: string) => (await login({ code: 'abc' }, from(address))).body.code as string

  test('from one address are stopped before WeChat is asked, and the others go on', async () => {
    await open({ env: { LOGINS_PER_ADDRESS: '5' } })
    const seen = []
    for (let at = 0; at < 8; at++) seen.push(await attempt('203.0.113.1'))
    expect(seen).toEqual([
      ...Array<string>(5).fill('login_refused'),
      ...Array<string>(3).fill('too_many_logins'),
    ])
    expect(town.logins.asked.wechat).toBe(5)
    expect(await attempt('203.0.113.2')).toBe('login_refused')
    town.pass(60)
    expect(await attempt('203.0.113.1')).toBe('login_refused')
  })

  test('into one app are stopped as well, wherever they come from, also when they come at once', async () => {
    await open({ env: { LOGINS_PER_MINUTE: '20' } })
    const all = await Promise.all(Array.from({ length: 60 }, (_, at) => attempt(`198.51.100.${at}`)))
    expect(all.filter((code) => code === 'login_refused')).toHaveLength(20)
    expect(town.logins.asked.wechat).toBe(20)
    const refused = await login({ code: 'abc' }, from('198.51.100.99'))
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '60'])
  })

  test('are not what many people without an address are: only the app’s own budget counts them', async () => {
    await open()
    for (let at = 0; at < 100; at++) expect((await codes({ code: 'abc' }))[1]).toBe('login_refused')
    const names = await town.store.db.selectFrom('counters').select('name').execute()
    expect(names).toEqual([{ name: `login:${MINI}` }])
    await town.close()
    await open({ env: { LOGINS_PER_MINUTE: '50' } })
    const seen = []
    for (let at = 0; at < 60; at++) seen.push((await codes({ code: 'abc' }))[1])
    expect(seen.indexOf('too_many_logins')).toBe(50)
  })

  test('of a peak of 1 200 a minute are none too many', async () => {
    await open({ overrides: { ask: async () => ({ status: 200, body: Buffer.from('{"errcode":40029}') }) } })
    const all = await Promise.all(
      Array.from({ length: 1201 }, (_, at) => attempt(`10.0.${at >> 8}.${at & 255}`)),
    )
    expect(all.filter((code) => code === 'login_refused')).toHaveLength(1200)
  })

  test('into one app leave every other app its own, also from the same address', async () => {
    await open({ env: { LOGINS_PER_ADDRESS: '3', LOGINS_PER_MINUTE: '5' } })
    for (let at = 0; at < 9; at++) await attempt(`198.51.100.${at}`)
    expect(await attempt('203.0.113.1')).toBe('too_many_logins')
    await town.login('official_account')
    await town.login('alipay')
    town.pass(60)
    for (let at = 0; at < 4; at++) await attempt('203.0.113.1')
    expect(await attempt('203.0.113.1')).toBe('too_many_logins')
    const secret = freshSecret()
    const there = from('203.0.113.1')
    const body = { app_id: OFFI, secret_hash: hashOf(secret) }
    const { state } = (await town.call('POST', '/session/state', { body })).body as { state: string }
    const code = town.logins.codeFor(OFFI)
    expect((await login({ app_id: OFFI, secret, state, code }, there)).statusCode).toBe(201)
  })

  test('do not fill the table, however many addresses they come from, and are forgotten', async () => {
    await open({ env: { LOGINS_PER_MINUTE: '1000' } })
    for (let at = 0; at < 600; at++) await attempt(`10.${at >> 8}.${at & 255}.1`)
    const names = async () =>
      (await town.store.db.selectFrom('counters').select('name').execute()).map(({ name }) => name)
    const own = new RegExp(`^login:${MINI}(:[0-9a-f]{4})?$`)
    expect((await names()).every((name) => own.test(name))).toBe(true)
    expect((await names()).length).toBeGreaterThan(500)
    await town.runFor(1300)
    expect((await names()).filter((name) => name.startsWith('login'))).toEqual([])
  })

  test('are counted in drawers that only who has the key can work out', async () => {
    const drawers = async (env: Record<string, string>) => {
      await open({ env })
      await attempt('203.0.113.1')
      const names = await town.store.db.selectFrom('counters').select('name').orderBy('name').execute()
      await town.close()
      return names.map(({ name }) => name)
    }
    const keys = ['one', 'two'].map((name) =>
      JSON.stringify([{ name, secret: `${name}-is-a-secret-of-more-than-32-characters` }]),
    )
    const first = await drawers({ SESSION_KEYS: keys[0]! })
    const same = await drawers({ SESSION_KEYS: keys[0]! })
    const other = await drawers({ SESSION_KEYS: keys[1]! })
    const bare = createHash('sha256').update('203.0.113.1').digest('hex').slice(0, 4)
    expect(first).toEqual([`login:${MINI}`, expect.stringMatching(/:[0-9a-f]{4}$/)])
    expect(same).toEqual(first)
    expect(other).not.toEqual(first)
    for (const names of [first, other]) expect(names[1]).not.toContain(bare)
    await open()
  })
})

describe('when an app’s budget of a minute is reached', () => {
  const flood = async (times: number) => {
    for (let at = 0; at < times; at++) await codes({ code: 'abc' })
  }
  const told = async () =>
    (await town.store.db.selectFrom('outbox').selectAll().where('type', '=', 'anomaly').execute()).map(
      ({ out_sub_mch_id, payload }) => [out_sub_mch_id, JSON.parse(payload).data.kind],
    )

  test('a person is told, under the app’s sub-merchant, once each time it opens', async () => {
    await open({ env: { LOGINS_PER_MINUTE: '5' } })
    const mini = town.logins.apps.filter(({ app_id }) => app_id === MINI)
    await town.close()
    // As a tenant beside the first one would have it.
    const CLOUD_PAY_APPS = JSON.stringify(mini.map((app) => ({ ...app, out_sub_mch_id: 'sub00' })))
    await open({ env: { LOGINS_PER_MINUTE: '5', CLOUD_PAY_APPS }, merchants: otherMerchants(1) })
    await flood(5)
    expect(await town.anomalies()).toEqual([])
    await flood(5)
    expect(await town.anomalies()).toMatchObject([
      {
        kind: 'logins_limited',
        out_sub_mch_id: 'sub00',
        out_trade_no: '',
        times: 1,
        evidence: { app_id: MINI, per_minute: 5 },
      },
    ])
    expect(town.counts()).toMatchObject({ 'anomaly.logins_limited': 1, 'login.limited.app': 5 })
    town.pass(60)
    await flood(9)
    const [anomaly] = await town.anomalies()
    expect(anomaly).toMatchObject({ times: 2 })
    expect(await told()).toEqual([['sub00', 'logins_limited']])
    expect(await resolveAnomaly(town.store, anomaly!.id, town.nowS(), 'a crowd')).toBe('done')
    town.pass(60)
    await flood(9)
    expect(await told()).toEqual(Array(2).fill(['sub00', 'logins_limited']))
  })

  test('the logins after it write nothing more than they count', async () => {
    await open({ env: { LOGINS_PER_MINUTE: '5' } })
    await flood(6)
    const before = town.database.said
    await flood(1)
    const each = town.database.said - before
    await flood(20)
    expect(town.database.said - before).toBe(21 * each)
    expect(await town.anomalies()).toMatchObject([{ times: 1 }])
  })

  test('the login is refused all the same when that cannot be written', async () => {
    await open({ env: { LOGINS_PER_MINUTE: '5' } })
    await flood(5)
    town.database.before = (sql) => {
      if (/"anomalies"/.test(sql)) throw new Error('disk I/O error')
    }
    expect(await codes({ code: 'abc' })).toEqual([429, 'too_many_logins'])
    expect(town.log).toContainEqual(
      expect.objectContaining({ event: 'anomaly_not_kept', kind: 'logins_limited' }),
    )
  })
})

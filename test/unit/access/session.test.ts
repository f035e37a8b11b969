import { createHash, createHmac } from 'node:crypto'
import { compactVerify } from 'jose'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { openSessions } from '../../../shared/access/session'
import type { NamedKey } from '../../../shared/base/entries'
import { SANDBOX_SECRET, type PayerApp } from '../../../shared/base/people'
import { systemRandom } from '../../../shared/base/random'
import { deriveKey } from '../../../shared/base/sealing'
import { Secret } from '../../../shared/base/secrets'
import { freshSecret, openTown, type Town } from '../../support/town'

const key = (name: string): NamedKey => ({ name, secret: new Secret(`${SANDBOX_SECRET}${name}`) })
const app: PayerApp = {
  out_sub_mch_id: 'sub1',
  app_id: 'wxone',
  kind: 'mini_program',
  id_field: 'sub_open_id',
  secret: new Secret('x'.repeat(32)),
  alipay_public_key: undefined,
  needs_state: false,
}
const NOW = 1_900_000_000
const around = { nowS: NOW, lifeS: 7200, random: systemRandom }

describe('a token', () => {
  const sessions = openSessions([key('one')], [app])
  const secret = freshSecret()
  const hash = (text: string) =>
    createHash('sha256').update(Buffer.from(text, 'base64url')).digest('base64url')
  const { token, session } = sessions.issue(app, 'oPayer0001', hash(secret), around)

  test('opens for who has its secret, as what it was issued', () => {
    expect(sessions.open(token, secret, NOW + 7199)).toEqual(session)
    expect(session).toMatchObject({ payer_id: 'oPayer0001', exp: NOW + 7200, out_sub_mch_id: 'sub1' })
  })

  test('is a JWS like any other: a library of JOSE verifies it', async () => {
    const mac = deriveKey(key('one').secret.reveal(), 'session').export()
    const { protectedHeader } = await compactVerify(token, mac, { algorithms: ['HS256'] })
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'session+jwt', kid: 'one' })
  })

  test('does not tell whose it is, nor its secret', () => {
    const text = token
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
      .join()
    expect(text).not.toContain('oPayer0001')
    expect(text).not.toContain(secret)
  })

  test('is half of a credential', () => {
    for (const other of [freshSecret(), '', secret.slice(1), `${secret}=`, `${secret} `])
      expect(sessions.open(token, other, NOW)).toBe('unknown')
  })

  test('has an end', () => {
    expect(sessions.open(token, secret, NOW + 7200)).toBe('ended')
    expect(sessions.open(token, secret, NOW - 301)).toBe('ended')
  })

  test('ends with its app, and with its app’s sub-merchant', () => {
    expect(openSessions([key('one')], []).open(token, secret, NOW)).toBe('ended')
    const moved = { ...app, out_sub_mch_id: 'sub2' }
    expect(openSessions([key('one')], [moved]).open(token, secret, NOW)).toBe('ended')
  })

  test('is good while its key is among ours, and no longer', () => {
    expect(openSessions([key('two'), key('one')], [app]).open(token, secret, NOW)).toEqual(session)
    expect(openSessions([key('two')], [app]).open(token, secret, NOW)).toBe('unknown')
    const impostor = { name: 'one', secret: key('two').secret }
    expect(openSessions([impostor], [app]).open(token, secret, NOW)).toBe('unknown')
  })

  test('changed in any character, is not ours', () => {
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      expect([at, sessions.open(changed, secret, NOW)]).toEqual([at, 'unknown'])
    }
  })

  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  test.each([
    ['alg none', { alg: 'none', typ: 'session+jwt', kid: 'one' }, ''],
    ['alg HS512', { alg: 'HS512', typ: 'session+jwt', kid: 'one' }, undefined],
    ['another order of members', { typ: 'session+jwt', alg: 'HS256', kid: 'one' }, undefined],
    ['a key it brings along', { alg: 'HS256', typ: 'session+jwt', kid: 'one', jwk: {} }, undefined],
  ])('with %s is not ours', (_what, header, mac) => {
    const signed = `${encode(header)}.${token.split('.')[1]}`
    const own = createHmac('sha256', deriveKey(key('one').secret.reveal(), 'session'))
    const changed = `${signed}.${mac ?? own.update(signed).digest('base64url')}`
    expect(sessions.open(changed, secret, NOW)).toBe('unknown')
  })

  test.each(['', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d', 'x'.repeat(100_000)])('%.20s is none', (text) => {
    expect(sessions.open(text, secret, NOW)).toBe('unknown')
    expect(sessions.open(`${token}.x`, secret, NOW)).toBe('unknown')
  })
})

describe('a session', () => {
  let town: Town
  beforeEach(async () => {
    town = await openTown()
  })
  afterEach(() => town.close())

  const NOTHING = '/orders/sb01nothing'
  const enters = async (visitor: { call: Town['call'] }) =>
    (await visitor.call('GET', NOTHING)).body.code as string

  test('lasts two hours', async () => {
    const payer = await town.login('mini_program')
    town.pass(7199)
    expect(await enters(payer)).toBe('order_not_found')
    town.pass(1)
    expect(await enters(payer)).toBe('session_ended')
  })

  test('is ended by its payer, and only that one', async () => {
    const [one, other] = [await town.login('mini_program'), await town.login('mini_program')]
    expect((await one.call('POST', '/session/revoke')).body).toEqual({ revoked: true })
    expect(await enters(one)).toBe('session_ended')
    expect(await enters(other)).toBe('order_not_found')
  })

  test('is ended by the merchant, with all others of that payer; the next login is good again', async () => {
    const mine = [
      await town.login('mini_program', 'oBadPayer0001'),
      await town.login('mini_program', 'oBadPayer0001'),
    ]
    const other = await town.login('mini_program', 'oGoodPayer001')
    const body = { payer_field: 'sub_open_id', payer_id: 'oBadPayer0001' }
    expect((await town.signed('admin', 'POST', '/session/revoke', { body })).statusCode).toBe(200)
    for (const each of mine) expect(await enters(each)).toBe('session_ended')
    expect(await enters(other)).toBe('order_not_found')
    town.pass(1)
    expect(await enters(await town.login('mini_program', 'oBadPayer0001'))).toBe('order_not_found')
  })

  test('shown together with a signed request is believed in neither', async () => {
    const payer = await town.login('mini_program')
    const both = await town.signed('server', 'GET', NOTHING, { headers: payer.headers })
    expect(both.body.code).toBe('caller_unknown')
  })

  test('costs one question to the database, an unknown one none', async () => {
    const payer = await town.login('mini_program')
    await enters(payer)
    town.database.said = 0
    await enters(payer)
    expect(town.database.said).toBe(2)
    for (const headers of [
      {},
      { authorization: 'Bearer a.b.c', 'x-session-secret': payer.secret },
      { ...payer.headers, 'x-session-secret': freshSecret() },
    ])
      expect((await town.call('GET', NOTHING, { headers })).body.code).toBe('caller_unknown')
    expect(town.database.said).toBe(2)
  })

  test('with the database away is nobody’s: 503', async () => {
    const payer = await town.login('mini_program')
    town.database.mood = 'down'
    expect(await enters(payer)).toBe('database_unavailable')
    town.database.mood = 'well'
  })

  test('leaves nothing of secrets, session_key or payer id in answers and log', async () => {
    const answers: string[] = []
    const remember = async (work: Promise<{ body: unknown }>) =>
      void answers.push(JSON.stringify((await work).body))
    const payer = await town.login('official_account', 'oSecretPayer01')
    await remember(payer.call('GET', NOTHING))
    await remember(payer.call('POST', '/orders', { body: { quote: town.quote({ sub: 'oSecretPayer01' }) } }))
    await remember(payer.call('POST', '/orders', { body: { quote: 'x' } }))
    const seen = `${payer.token}\n${answers.join('\n')}\n${JSON.stringify(town.log)}`
    expect(town.logins.handedOver.length).toBeGreaterThan(1)
    const hidden = [...town.logins.handedOver, payer.secret, 'oSecretPayer01', SANDBOX_KEYS.session.secret]
    for (const text of hidden) {
      expect(seen).not.toContain(text)
      expect(seen).not.toContain(Buffer.from(text).toString('base64url'))
    }
  })
})

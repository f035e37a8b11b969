import { createHash } from 'node:crypto'
import { Fault } from '../../../shared/base/errors'
import { createLog } from '../../../shared/base/log'
import { Secret } from '../../../shared/base/secrets'
import { json } from '../../../shared/http/answer'
import { command } from '../../../shared/http/command'
import { door, type Route } from '../../../shared/http/door'
import { timerDoor } from '../../../shared/http/timer'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { lookedThrough, takeLeaks, type Leak } from '../../support/leaks'
import { openTown, type Town, type Visitor } from '../../support/town'

/** Every suite is watched. Here leaks are planted, to see that the watch sees. */
const PAYER = 'oPlantedPayer0001'

let town: Town
let payer: Visitor
beforeEach(async () => {
  town = await openTown()
  payer = await town.login('mini_program', PAYER)
  await payer.call('POST', '/orders', { body: { quote: town.quote({ sub: PAYER }) } })
})
afterEach(() => town.close())

const found = (leaks: Leak[]) => leaks.map(({ what, where }) => `${what} in ${where}`)

/** One of each kind, as the world above has made them. */
const KINDS: [what: Leak['what'], text: () => string][] = [
  ['secret', () => SANDBOX_KEYS.session.secret],
  ['payer', () => PAYER],
  ['token', () => payer.token],
  ['client secret', () => payer.secret],
  ['session key', () => town.logins.handedOver[0]!],
  ['code', () => town.logins.codeFor('wxsandboxmini0001', PAYER)],
]

/** A door of ours that gives away what it is told to. */
const speaking = (say: () => unknown) => {
  const routes: Route<{ log: () => void }>[] = [
    {
      method: 'GET',
      path: '/',
      handle: async (_app, { requestId }) => json(200, { said: say() }, requestId),
    },
  ]
  return door(
    async () => ({ log: () => undefined }),
    () => undefined,
    routes,
  )
}
const visit = { httpMethod: 'GET', path: '/', headers: {}, queryString: {}, body: '' }
/** Knows no secret, as a log that was forgotten to be told of one. */
const log = createLog(() => undefined, [])

describe.each(KINDS)('a %s is found', (what, text) => {
  const places: [where: string, plant: () => unknown, leak: string][] = [
    ['in a line of the log', () => log({ event: 'x', deep: [{ it: text() }] }), 'log'],
    ['in JSON in a line of the log', () => log({ event: 'x', it: JSON.stringify({ it: text() }) }), 'log'],
    ['in an error', () => new Fault('internal', { extra: { it: text() } }), 'error'],
    [
      'in the cause of the cause of an error',
      () => new Fault('internal', { cause: new Error('a', { cause: new Error(`b ${text()}`) }) }),
      'error',
    ],
    [
      'in a member of the cause of an error',
      () => new Fault('internal', { cause: Object.assign(new Error('a'), { sql: text() }) }),
      'error',
    ],
    ['in what a handler returns', () => speaking(text)(visit), 'return value'],
    [
      'in what the timer returns',
      () =>
        timerDoor(
          async () => ({ log }),
          () => undefined,
          async () => ({ it: text() }),
        )({}),
      'return value',
    ],
    [
      'in what a command returns',
      () => {
        const open = async () => ({ log: () => undefined, of: 0, close: async () => undefined })
        return command(open, () => undefined, { x: async () => ({ it: text() }) })({ do: 'x' })
      },
      'return value',
    ],
    [
      'in an address',
      () =>
        town.app.cloudPay
          .call({ suffix: `x?it=${encodeURIComponent(text())}` } as never, '{}', {
            key: town.app.merchants.first.key,
            timeoutMs: 1000,
          })
          .catch(() => undefined),
      'URL',
    ],
  ]
  test.each(places)('%s', async (_name, plant, where) => {
    text()
    takeLeaks()
    await plant()
    expect(found(takeLeaks())).toContain(`${what} in ${where}`)
  })
})

test('what may be seen is the token in the answer of a login, and an app secret where WeChat wants it', async () => {
  const secret = new Secret(createHash('sha256').update('x').digest('hex')).reveal()
  await town.login('official_account', 'oPlantedPayer0002')
  expect(takeLeaks()).toEqual([])
  await speaking(() => payer.token)({ ...visit, path: '/' })
  await speaking(() => secret)(visit)
  expect(found(takeLeaks())).toEqual(['token in return value', 'secret in return value'])
})

test('the watch has been looking', async () => {
  const before = { ...lookedThrough() }
  await payer.call('GET', '/orders/sb01none')
  await town.timer()
  const { log: lines = 0, error = 0, 'return value': answers = 0, URL = 0 } = lookedThrough()
  expect([lines > (before.log ?? 0), error > (before.error ?? 0)]).toEqual([true, true])
  expect([answers > (before['return value'] ?? 0), URL > 0]).toEqual([true, true])
})

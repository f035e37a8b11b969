import { createServer, Socket, type Server } from 'node:net'
import { ConfigurationFault, readConfig, type Config } from '../../../shared/base/config'
import { createSend, type SendOptions } from '../../../shared/net/send'
import { testEnv } from '../../support/world'

/**
 * This machine and its neighbours, spelt in every way a URL takes or seems to take. The same URLs are tried twice: with
 * the guard as it is shipped, when nothing may be connected to, and without it, when those that mean this machine do
 * arrive at a real listener. Otherwise a test of refusals would pass for URLs that lead nowhere.
 */
type Address = readonly [number, number, number, number]

/** Loopback, where somebody listens on each of them; and what is worth stealing from elsewhere. */
const HERE: Address[] = [
  [127, 0, 0, 1],
  [127, 0, 0, 2],
  [127, 1, 2, 3],
  [127, 255, 255, 254],
  [127, 7, 7, 7],
]
const INSIDE: Address[] = [
  [169, 254, 169, 254],
  [169, 254, 0, 23],
  [100, 100, 100, 200],
  [10, 0, 0, 1],
  [172, 16, 0, 1],
  [192, 168, 1, 1],
]

const numberOf = ([a, b, c, d]: Address) => ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
const hex = (value: number, digits = 1) => value.toString(16).padStart(digits, '0')
const octal = (value: number, digits = 1) => `0${value.toString(8).padStart(digits, '0')}`
const dotted = (address: Address) => address.join('.')
const inDigits = (text: string, zero: number) =>
  text.replaceAll(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)))

/** Ways to write an IPv4 address that a URL parser may take for it. */
function spell(address: Address): string[] {
  const [a, b, c, d] = address
  const number = numberOf(address)
  const half = hex((a << 8) | b)
  const rest = hex((c << 8) | d)
  const plain = dotted(address)
  return [
    plain,
    String(number),
    `0x${hex(number)}`,
    `0X${hex(number).toUpperCase()}`,
    `0x${hex(number, 16)}`,
    octal(number),
    octal(number, 16),
    `${a}.${(b << 16) | (c << 8) | d}`,
    `${a}.${b}.${(c << 8) | d}`,
    `0x${hex(a)}.${(b << 16) | (c << 8) | d}`,
    `${octal(a)}.0x${hex(b)}.${(c << 8) | d}`,
    address.map((part) => `0x${hex(part)}`).join('.'),
    address.map((part) => `0X${hex(part, 4).toUpperCase()}`).join('.'),
    address.map((part) => octal(part)).join('.'),
    address.map((part) => octal(part, 8)).join('.'),
    `0x${hex(a)}.${octal(b)}.${c}.0x${hex(d)}`,
    // Digits and dots of other scripts: the URL standard maps them to ours.
    inDigits(plain, 0xff10),
    inDigits(plain, 0x1d7ce),
    inDigits(plain, 0x1d7f6),
    plain.replaceAll('.', '。'),
    plain.replaceAll('.', '．'),
    plain.replaceAll('.', '｡'),
    `${inDigits(plain, 0xff10).replaceAll('.', '．')}`,
    `０ｘ${hex(number)}`,
    // Percent-encoding is undone in a host.
    [...plain].map((letter) => `%${hex(letter.charCodeAt(0), 2)}`).join(''),
    plain.replaceAll('.', '%2e'),
    plain.replace('.', '%2E'),
    `%30x${hex(number)}`,
    // What is dropped on the way.
    `${plain.slice(0, 3)}\u00ad${plain.slice(3)}`,
    `${plain.slice(0, 3)}\t${plain.slice(3)}`,
    `${plain.slice(0, 3)}\n${plain.slice(3)}`,
    `${plain.slice(0, 1)}\u200b${plain.slice(1)}`,
    `\u2060${plain}`,
    // IPv4 in IPv6.
    `[::ffff:${plain}]`,
    `[::FFFF:${half}:${rest}]`,
    `[0:0:0:0:0:ffff:${half}:${rest}]`,
    `[0000:0000:0000:0000:0000:ffff:${half}:${rest}]`,
    `[::${plain}]`,
    `[::ffff:0:${plain}]`,
    `[64:ff9b::${plain}]`,
    `[64:ff9b::${half}:${rest}]`,
    `[64:ff9b:1::${plain}]`,
    `[2002:${half}:${rest}::]`,
    `[2001:0:${half}:${rest}::1]`,
    `[fe80::5efe:${plain}]`,
    // Ends and beginnings.
    `${plain}.`,
    `${number}.`,
    `0x${hex(number)}.`,
    // Somebody else's name in front.
    `public.test@${plain}`,
    `public.test:443@${plain}`,
    `public.test%40@${plain}`,
    `public.test%3a443@${plain}`,
    `:@${plain}`,
  ]
}

const SPELLINGS = [
  ...HERE.flatMap(spell),
  ...INSIDE.flatMap(spell),
  ...['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::0001]', '[0::1]', '[::0.0.0.1]', '[::]', '[0::0]'],
  ...['0', '0.0', '0.0.0.0', '0x0', '00', '0x00000000', '０', '%30', '[::ffff:0.0.0.0]', '[::ffff:0:0]'],
  ...[
    'localhost',
    'LOCALHOST',
    'LocalHost',
    'ｌｏｃａｌｈｏｓｔ',
    'loc%61lhost',
    'lo\u00adcalhost',
    'ⓛocalhost',
  ],
  // Names that anybody may have, and that mean what their owner says: here, this machine and inside.
  ...['localtest.test', 'a.b.c.localtest.test', 'LOCALTEST.test', '127-0-0-1.rebind.test', 'mixed.test'],
  ...['metadata.test', 'six.test', 'mapped.test', 'nat64.test', 'zone.test'],
]

/** DNS, as far as it goes here. */
const NAMES: Record<string, { address: string; family: number }[]> = {
  localhost: [{ address: '127.0.0.1', family: 4 }],
  'localtest.test': [{ address: '127.0.0.1', family: 4 }],
  'a.b.c.localtest.test': [{ address: '127.1.2.3', family: 4 }],
  '127-0-0-1.rebind.test': [{ address: '127.0.0.1', family: 4 }],
  'mixed.test': [
    { address: '127.0.0.1', family: 4 },
    { address: '8.8.8.8', family: 4 },
  ],
  'metadata.test': [{ address: '169.254.169.254', family: 4 }],
  'six.test': [{ address: '::1', family: 6 }],
  'mapped.test': [{ address: '::ffff:127.0.0.1', family: 6 }],
  'nat64.test': [{ address: '64:ff9b::7f00:1', family: 6 }],
  'zone.test': [{ address: 'fe80::1%lo', family: 6 }],
}
const send = createSend({
  resolve: async (host) => {
    const known = NAMES[host]
    if (!known) throw new Error('ENOTFOUND')
    return known
  },
})

let port = 0
let arrived = 0
const servers: Server[] = []
let opened: jest.SpyInstance

beforeAll(async () => {
  for (const host of [...HERE.map(dotted), '::1']) {
    const server = createServer((socket) => {
      arrived++
      socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(port, host, resolve))
    port = (server.address() as { port: number }).port
    servers.push(server)
  }
  opened = jest.spyOn(Socket.prototype, 'connect')
})
afterAll(async () => {
  opened.mockRestore()
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})
beforeEach(() => {
  arrived = 0
  opened.mockClear()
})

const urlOf = (host: string) => `https://${host}:${port}/hook`
const options = (allowPrivate: boolean): SendOptions => ({ headers: {}, timeoutMs: 60_000, allowPrivate })
const BODY = Buffer.from('{}')

/** Where the URL leads with the guard off, as far as it is this machine: everything else is not tried from here. */
function meansHere(host: string): boolean {
  let hostname
  try {
    ;({ hostname } = new URL(urlOf(host)))
  } catch {
    return false
  }
  const bare = hostname.replace(/^\[|\]$/g, '')
  const address = NAMES[bare]?.[0]?.address ?? bare
  return /^127(\.\d+){3}$|^0\.0\.0\.0$|^::1?$|^::ffff:(7f..:|0:0$|127\.)/.test(address)
}

test('more than 400 spellings, none of them twice', () => {
  expect(new Set(SPELLINGS).size).toBe(SPELLINGS.length)
  expect(SPELLINGS.length).toBeGreaterThanOrEqual(400)
})

test('with the guard, not one of them is connected to', async () => {
  const fates: Record<string, number> = {}
  for (const host of SPELLINGS) {
    const error = await send(urlOf(host), BODY, options(false)).catch((refusal: unknown) => refusal)
    expect([host, error]).toEqual([host, expect.objectContaining({ name: 'Refused' })])
    const { code } = error as { code: string }
    fates[code] = (fates[code] ?? 0) + 1
  }
  process.stdout.write(`${SPELLINGS.length} spellings, ${JSON.stringify(fates)}, ${arrived} arrived\n`)
  expect([opened.mock.calls.length, arrived]).toEqual([0, 0])
  // Most of them are addresses that were understood and refused as such, not texts that nobody understands.
  expect(fates['address_refused']).toBeGreaterThanOrEqual(200)
})

test('as the configured webhook, they are refused before or when a message is sent', async () => {
  let configured = 0
  for (const host of SPELLINGS) {
    const env = { MERCHANT_WEBHOOK_URL: urlOf(host), MERCHANT_WEBHOOK_SECRET: `whsec_${'A'.repeat(32)}` }
    let webhook: Config['webhook']
    try {
      ;({ webhook } = readConfig({ ...testEnv, ...env }))
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationFault)
      continue
    }
    if (!webhook) throw new Error('no webhook is configured')
    configured++
    await expect(send(webhook.url, BODY, options(webhook.allowPrivate))).rejects.toMatchObject({
      name: 'Refused',
    })
  }
  expect([opened.mock.calls.length, arrived]).toEqual([0, 0])
  expect(configured).toBeGreaterThanOrEqual(200)
})

test('without the guard, the same URLs that mean this machine do arrive: it is the guard that refuses', async () => {
  let tried = 0
  const silent: string[] = []
  for (const host of SPELLINGS.filter(meansHere)) {
    const before = arrived
    // The listener closes without a word of TLS: what counts is that it was reached.
    const error = await send(urlOf(host), BODY, options(true)).catch((fault: unknown) => fault)
    // Users and trailing dots are refused whatever the guard.
    if ((error as Error).name === 'Refused') continue
    tried++
    if (arrived === before) silent.push(host)
  }
  process.stdout.write(`${tried} of them arrive without the guard\n`)
  expect(silent).toEqual([])
  expect(tried).toBeGreaterThanOrEqual(200)
})

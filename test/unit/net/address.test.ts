import { createServer, Socket, type AddressInfo, type Server } from 'node:net'
import { findDestination, isPublic, Refused } from '../../../shared/net/address'
import { createSend } from '../../../shared/net/send'
import { HOSTS, ODD_ADDRESSES, PRIVATE_IPV4, PRIVATE_IPV6, PUBLIC, URLS } from './addresses'

test.each([...PRIVATE_IPV4, ...PRIVATE_IPV6, ...ODD_ADDRESSES])('%j is not public', (address) => {
  expect(isPublic(address)).toBe(false)
})

test.each(PUBLIC)('%s is public', (address) => expect(isPublic(address)).toBe(true))

/** IPv4 by arithmetic instead of a list: every edge of every range, and one beside it. */
test('around every power of two, IPv4 is judged as arithmetic judges it', () => {
  const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const text = (value: number) => [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join('.')
  const ranges = [
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
    ...['192.0.0.0/24', '192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24'],
    ...[
      '192.168.0.0/16',
      '192.175.48.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '224.0.0.0/3',
    ],
  ].map((range) => {
    const [from, prefix] = range.split('/')
    return [number(from!), number(from!) + 2 ** (32 - Number(prefix)) - 1] as const
  })
  const probes = ranges.flatMap(([from, to]) =>
    [from, to].flatMap((edge) => [
      ...[edge - 1, edge, edge + 1],
      ...Array.from({ length: 32 }, (_, bit) => (edge ^ (1 << bit)) >>> 0),
    ]),
  )
  for (const probe of probes.filter((probe) => probe >= 0 && probe < 2 ** 32)) {
    const inside = ranges.some(([from, to]) => probe >= from && probe <= to)
    expect([text(probe), isPublic(text(probe))]).toEqual([text(probe), !inside])
  }
})

describe('nobody is connected to', () => {
  let server: Server
  let port: number
  let arrived = 0
  /** Also what would lead elsewhere than here. */
  let opened: jest.SpyInstance

  beforeAll(async () => {
    server = createServer((socket) => {
      arrived++
      socket.destroy()
    })
    // On all of this machine's addresses, IPv4 and IPv6.
    await new Promise<void>((resolve) => server.listen(0, resolve))
    port = (server.address() as AddressInfo).port
    opened = jest.spyOn(Socket.prototype, 'connect')
  })
  afterAll(async () => {
    opened.mockRestore()
    await new Promise((resolve) => server.close(resolve))
  })
  beforeEach(() => {
    arrived = 0
    opened.mockClear()
  })

  /** `public.test` is public; every other name is what this machine says it is. */
  const send = createSend({
    resolve: async (host) => {
      if (host === 'public.test') return [{ address: '8.8.8.8', family: 4 }]
      if (/^localhost\.*$/.test(host)) return [{ address: '127.0.0.1', family: 4 }]
      throw new Error('ENOTFOUND')
    },
  })
  const options = { headers: {}, timeoutMs: 60_000, allowPrivate: false }
  const attempt = (url: string, by = send) => by(url, Buffer.from('{}'), options)

  const refused = async (sent: Promise<number>) => {
    await expect(sent).rejects.toBeInstanceOf(Refused)
    expect([opened.mock.calls.length, arrived]).toEqual([0, 0])
  }

  test.each(PRIVATE_IPV4)('https://%s', (address) => refused(attempt(`https://${address}:${port}/`)))
  test.each(PRIVATE_IPV6)('https://[%s]', (address) => refused(attempt(`https://[${address}]:${port}/`)))
  test.each(HOSTS)('https://%s', (host) => refused(attempt(`https://${host}:${port}/`)))
  test.each(URLS)('%j', (url) => refused(attempt(url.replace('PORT', String(port)))))

  test.each([...PRIVATE_IPV4, ...PRIVATE_IPV6, ...ODD_ADDRESSES])('a name that means %j', (address) => {
    const family = address.includes(':') ? 6 : 4
    return refused(
      attempt(`https://merchant.test:${port}/`, createSend({ resolve: async () => [{ address, family }] })),
    )
  })

  test.each([
    ['first', ['127.0.0.1', '8.8.8.8']],
    ['last', ['8.8.8.8', '2400:3200::1', '10.0.0.1']],
    ['of the other family', ['8.8.8.8', '::1']],
  ])('a name of which one address is inside (%s)', async (_where, addresses) => {
    const resolve = async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    await refused(attempt(`https://merchant.test:${port}/`, createSend({ resolve })))
  })

  test('a name without any address', () =>
    refused(attempt(`https://merchant.test:${port}/`, createSend({ resolve: async () => [] }))))

  test('this machine, by the name its own resolver knows', () =>
    refused(attempt(`https://localhost:${port}/`, createSend())))

  test('and all of this would notice a connection', async () => {
    const sent = send(`https://127.0.0.1:${port}/`, Buffer.from('{}'), { ...options, allowPrivate: true })
    await expect(sent).rejects.toMatchObject({ code: 'connection' })
    expect([opened.mock.calls.length, arrived]).toEqual([1, 1])
  })
})

test('what is refused says so, and does not quote a URL that may hold a secret', async () => {
  const resolve = async (): Promise<never> => {
    throw new Error('ENOTFOUND')
  }
  for (const [url, code] of [
    ['https://user:hunter2@merchant.test/', 'url_refused'],
    ['https://merchant.test:hunter2/', 'url_refused'],
    ['https://10.0.0.1/?token=hunter2', 'address_refused'],
    ['https://merchant.test/?token=hunter2', 'host_unknown'],
  ] as const) {
    const error = await findDestination(url, false, resolve).catch((error: unknown) => error as Refused)
    if (!(error instanceof Refused)) throw new Error(`${url} was not refused`)
    expect(error.code).toBe(code)
    expect(`${error.stack} ${String(error.cause)}`).not.toContain('hunter2')
  }
})

test('IPv4 is preferred, whatever the order', async () => {
  const resolve = async () => [
    { address: '2400:3200::1', family: 6 },
    { address: '119.29.29.29', family: 4 },
  ]
  expect(await findDestination('https://merchant.test/', false, resolve)).toMatchObject({
    address: '119.29.29.29',
    family: 4,
  })
})

import { request } from 'node:http'
import { isMeantForUs } from '../../../local/ownPages'
import { startSandbox } from '../../../local/sandbox/server'

test.each([
  ['127.0.0.1:8700', undefined, true],
  ['localhost:8700', 'http://localhost:8700', true],
  ['[::1]:8700', 'http://127.0.0.1:3000', true],
  // A name that was rebound to this machine, and a page that is open in a browser of it.
  ['rebound.example.com:8700', undefined, false],
  ['127.0.0.1:8700', 'https://shop.example.com', false],
  ['127.0.0.1:8700', 'null', false],
  ['127.0.0.1.example.com', undefined, false],
  [undefined, undefined, false],
])('host %s, origin %s: %s', (host, origin, meant) => {
  expect(isMeantForUs({ host, origin })).toBe(meant)
})

/** fetch sets its own Host. */
const ask = (origin: string, path: string, headers: Record<string, string>, body = '') =>
  new Promise<number>((resolve, reject) => {
    const asking = request(`${origin}${path}`, { method: body ? 'POST' : 'GET', headers }, (response) => {
      response.resume()
      resolve(response.statusCode!)
    })
    asking.on('error', reject)
    asking.end(body)
  })

test('a web page cannot turn the sandbox’s switches, and a rebound name reads nothing', async () => {
  const far = await startSandbox()
  const turn = (headers: Record<string, string>) =>
    ask(far.origin, '/_sandbox/switches', headers, '{"notifications":"off"}')
  try {
    expect(await turn({ origin: 'https://shop.example.com' })).toBe(403)
    expect(await turn({ host: 'rebound.example.com' })).toBe(403)
    expect(await ask(far.origin, '/_sandbox/orders', { host: 'rebound.example.com' })).toBe(403)
    expect(far.sandbox.switches.notifications).toBe('on')
    expect(await turn({})).toBe(200)
    expect(far.sandbox.switches.notifications).toBe('off')
  } finally {
    await far.close()
  }
})

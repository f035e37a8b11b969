import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { ROOT } from '../../deploy/bundle'
import { readPages } from '../../local/docs/pages'
import { sandboxEnv } from '../../local/sandbox/env'
import { readConfig } from '../../shared/base/config'
import { until } from '../support/waiting'

/** Code that the documents say may be copied is run, as it stands there. */
const SECRET = `whsec_${Buffer.alloc(24, 5).toString('base64')}`

const marked = readPages(ROOT).flatMap(({ file, text }) =>
  [...text.matchAll(/<!-- run: ([^ ]+) -->\n\n```js\n([^]*?)```/g)].map(([, by, code]) => ({
    file,
    by,
    code: code!,
  })),
)

test('both languages have the receiver of webhooks, and nothing else is marked', () => {
  expect(marked.map(({ file, by }) => [file, by])).toEqual([
    ['docs/en/merchant-server.md', 'test/e2e/docs.test.ts'],
    ['docs/zh/merchant-server.md', 'test/e2e/docs.test.ts'],
  ])
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

describe.each(marked)('the receiver of $file', ({ file, code }) => {
  let child: ChildProcess
  let url: string
  let said = ''

  beforeAll(async () => {
    // Beside node_modules, where its import is found.
    const folder = join(ROOT, '.build', 'docs')
    mkdirSync(folder, { recursive: true })
    const program = join(folder, `${file.replaceAll('/', '-')}.mjs`)
    writeFileSync(program, code)
    const port = await freePort()
    url = `http://127.0.0.1:${port}/`
    const env = { PATH: process.env['PATH'], MERCHANT_WEBHOOK_SECRET: SECRET, PORT: String(port) }
    child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')))
    await until(() =>
      fetch(url).then(
        () => true,
        () => false,
      ),
    )
  })
  afterAll(() => void child.kill('SIGKILL'))

  const body = JSON.stringify({
    type: 'order.paid',
    timestamp: '2026-11-30T00:00:00Z',
    data: { out_trade_no: 'sb01paid' },
  })
  const post = async (id: string, text: string, signed = text) => {
    const now = new Date()
    const headers = {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(SECRET).sign(id, now, signed),
    }
    return (await fetch(url, { method: 'POST', headers, body: text })).status
  }

  test('takes what is signed, does nothing the second time, and refuses what is altered', async () => {
    expect(await post('msg_1', body)).toBe(204)
    expect(await post('msg_1', body)).toBe(204)
    expect(await post('msg_2', body.replace('sb01paid', 'sb01else'), body)).toBe(400)
    expect(await post('msg_3', body)).toBe(204)
    expect(said).toBe('order.paid sb01paid\norder.paid sb01paid\n')
  })
})

test.each(['en', 'zh'])('the lists of docs/%s/configuration.md are taken as they are shown', (language) => {
  const page = readFileSync(join(ROOT, `docs/${language}/configuration.md`), 'utf8')
  const shown = [...page.matchAll(/^([A-Z_]+)='(.+)'$/gm)].map(([, name, value]): [string, string] => [
    name!,
    value!.replaceAll('"…"', `"${'k'.repeat(44)}"`).replaceAll('…', '0123456789'),
  ])
  expect(shown.length).toBe(5)
  const env = sandboxEnv('http://127.0.0.1:1/cpay/', 'sqlite::memory:', '127.0.0.1')
  const { people, dataKeys } = readConfig({ ...env, ...Object.fromEntries(shown), CALLERS: '' })
  expect(
    [people.apps, people.merchantKeys, people.sessionKeys, people.quoteKeys, dataKeys].map(
      (list) => list.length,
    ),
  ).toEqual([1, 1, 1, 1, 1])
  expect(people.apps[0]!.shipping).toEqual({ logistics_type: 4, item_desc: 'body' })
})

import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { boardConfig, buildBoard, buildCashier, cashierConfig, PagesConfig } from '../../../deploy/pages'
import { buildPages } from '../../../local/pages'
import { SANDBOX_KEYS } from '../../../local/sandbox/people'
import { SANDBOX_SECRET } from '../../../shared/base/people'
import { openAttempts } from '../../../web/board/attempts'
import { PayError } from '../../../web/client/client'
import type { Operator, RefundAnswer } from '../../../web/client/operator'

const fresh = () => mkdtempSync(join(tmpdir(), 'pages-'))
const filesOf = (folder: string) =>
  readdirSync(folder).map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))

describe('the order board as it is deployed', () => {
  const api = {
    ...{ session: 'https://a.example.com', createOrder: 'https://b.example.com' },
    ...{ status: 'https://c.example.com', closeOrder: 'https://d.example.com' },
  }
  const both = { ...api, board: 'https://e.example.com', refund: 'https://f.example.com' }

  test('holds no key, and no place for one; the machine puts the sandbox’s beside it as it serves it', async () => {
    const outdir = fresh()
    await buildBoard({ api: 'https://pay.example.com' }, outdir)
    const files = filesOf(join(outdir, 'board'))
    expect(files.map(({ name }) => name).sort()).toEqual(['board.css', 'board.js', 'index.html'])
    for (const { text } of files) {
      expect(text).not.toContain(SANDBOX_SECRET)
      expect(text).not.toContain('id="sandbox"')
    }
    expect(v.safeParse(PagesConfig, { api: both, key: SANDBOX_KEYS.operator }).success).toBe(false)

    const local = fresh()
    const origins = { origin: 'http://127.0.0.1:8700', sandboxOrigin: 'http://127.0.0.1:8701' }
    const served = (await buildPages(local, origins)).get('/board/')!
    expect(served.body.toString('utf8')).toContain(SANDBOX_KEYS.operator.secret)
    for (const { text } of filesOf(join(local, 'board'))) expect(text).not.toContain(SANDBOX_SECRET)
  })

  test('may ask its own functions and nobody else, and the cashier is told nothing of them', async () => {
    const outdir = fresh()
    const config = v.parse(PagesConfig, { api: both })
    const policyOf = (name: string) =>
      /content="(default-src[^"]*)"/.exec(readFileSync(join(outdir, name, 'index.html'), 'utf8'))![1]!
    await buildBoard(boardConfig(config)!, outdir)
    const asked = [both.board, both.status, both.refund]
    expect(policyOf('board')).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ${asked.join(' ')}; frame-src 'none'; base-uri 'none'; form-action 'none'`,
    )
    await buildCashier(cashierConfig(config), outdir)
    for (const { text } of filesOf(join(outdir, 'cashier'))) expect(text).not.toMatch(/[ef]\.example\.com/)
    expect(boardConfig(v.parse(PagesConfig, { api }))).toBeUndefined()
  })

  test('is a small page: three files of at most 64 KB', async () => {
    const outdir = fresh()
    await buildBoard({ api: 'https://pay.example.com' }, outdir)
    const bytes = filesOf(join(outdir, 'board')).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
    expect(bytes).toBeLessThanOrEqual(64 * 1024)
  })
})

describe('a refund that is asked for on the board', () => {
  const NUMBER = 'sb01a'
  const answer = { out_refund_no: 'sb01k', state: 'accepted', refund_fee: 500 } as RefundAnswer
  const storage = () => {
    const kept = new Map<string, string>()
    return {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => void kept.set(name, value),
    }
  }
  let made = 0
  const start = (ends: (RefundAnswer | PayError)[], kept = storage()) => {
    const sent: { body: string; key: string }[] = []
    const operator = {
      refund: async (_number: string, body: string, key: string) => {
        sent.push({ body, key })
        const end = ends.shift()!
        if (end instanceof PayError) throw end
        return end
      },
    } as Operator
    const attempts = openAttempts(kept, () => `k${++made}`)
    const send = async (fen = 500) => (await attempts.send(operator, NUMBER, { fen, reason: '' })).end
    return { send, sent, attempts, kept, operator }
  }
  const lost = new PayError('no_answer', 0)

  test.each([
    ['nothing came back', lost],
    ['a proxy said 502', new PayError('no_answer', 502)],
    ['504', new PayError('outcome_unknown', 504)],
    ['503', new PayError('database_unavailable', 503)],
    ['500', new PayError('internal', 500)],
    ['somebody else is at it', new PayError('order_in_progress', 409)],
  ])(
    '%s: unknown, and until an answer came every try is the same refund, whatever is typed',
    async (_, fault) => {
      const { send, sent } = start([fault, new PayError('request_expired', 401), fault, answer, answer])
      expect([await send(), await send(), await send(700), await send()]).toEqual([
        ...['unknown', 'unknown', 'unknown'],
        'answered',
      ])
      expect(new Set(sent.map((one) => JSON.stringify(one))).size).toBe(1)
      await send(700)
      expect(sent.at(-1)!.body).toBe('{"refund_fee":700}')
      expect(sent.at(-1)!.key).not.toBe(sent[0]!.key)
    },
  )

  test('it is the same refund after a reload, also one that was left while it was under way', async () => {
    const { attempts, kept, operator, sent } = start([lost, answer])
    await attempts.send(operator, NUMBER, { fen: 500, reason: '缺货' })
    const again = openAttempts(kept, () => 'another')
    expect(again.find(NUMBER)).toMatchObject({ fen: 500, unsure: true })
    await again.send(operator, NUMBER)
    expect(sent[1]).toEqual(sent[0])
    expect(again.find(NUMBER)).toBeUndefined()
  })

  test.each([
    new PayError('refund_refused', 502),
    new PayError('refund_exceeds', 409),
    new PayError('order_not_refundable', 409),
  ])('$code is said of the refund itself: the next one is another', async (verdict) => {
    const { send, sent } = start([lost, verdict, answer])
    expect([await send(), await send(), await send()]).toEqual(['unknown', 'refused', 'answered'])
    expect(sent[2]!.key).not.toBe(sent[0]!.key)
  })

  test.each([
    new PayError('caller_not_allowed', 403),
    new PayError('refund_unresolved', 409),
    new PayError('refund_ceiling', 429),
  ])('$code to the only try: nothing was recorded', async (verdict) => {
    const { send, attempts } = start([verdict])
    expect([await send(), attempts.find(NUMBER)]).toEqual(['refused', undefined])
  })
})

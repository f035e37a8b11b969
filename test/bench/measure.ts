import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import { post } from '../support/bundles'
import { freshNumber, orderBody } from '../support/world'

/** Everything a measured process gets; NODE_EXTRA_CA_CERTS and NODE_OPTIONS of this one do not reach it. */
export type Env = Record<string, string>
export type Program = { file: string; env: Env }

// ── cold ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Wall time seen from outside, and the CPU time the process has used until then. */
export type Cold = { ms: number; cpuMs: number }

const CPU_MS = '(({ user, system }) => (user + system) / 1000)(process.cpuUsage())'

/** From starting a bare Node process to the line with its first answer, which must be a 201. */
export async function coldAnswer({ file, env }: Program): Promise<Cold> {
  const event = post(orderBody({ out_trade_no: freshNumber() }))
  const driver = `
    const { main_handler } = require(${JSON.stringify(file)})
    const context = { request_id: 'cold', getRemainingTimeInMillis: () => 10000 }
    main_handler(${JSON.stringify(event)}, context).then((answer) => {
      require('node:fs').writeSync(3, JSON.stringify(answer) + '\\n')
      require('node:fs').writeSync(3, String(${CPU_MS}))
      process.exit(0)
    }, (error) => {
      console.error(error)
      process.exit(1)
    })`
  const start = performance.now()
  const child = spawn(process.execPath, ['-e', driver], { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  let errors = ''
  child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout!.resume()
  let text = ''
  let ms: number | undefined
  ;(child.stdio[3] as Readable).on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8')
    if (ms === undefined && text.includes('\n')) ms = performance.now() - start
  })
  await ended
  const [answer = '', cpuMs] = text.split('\n')
  const status = answer === '' ? undefined : (JSON.parse(answer) as { statusCode: number }).statusCode
  if (ms === undefined || status !== 201) throw new Error(`${file} answered ${status}: ${text}${errors}`)
  return { ms, cpuMs: Number(cpuMs) }
}

/** How long a Node process lives that loads one file and nothing else. */
export async function processLife(file: string): Promise<Cold> {
  const driver = `require(${JSON.stringify(file)}); require('node:fs').writeSync(3, String(${CPU_MS}))`
  const start = performance.now()
  const child = spawn(process.execPath, ['-e', driver], {
    env: {},
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  })
  let cpuMs = ''
  ;(child.stdio[3] as Readable).on('data', (chunk: Buffer) => (cpuMs += chunk.toString()))
  const closed = once(child, 'close')
  const [code] = (await once(child, 'exit')) as [number | null]
  const ms = performance.now() - start
  await closed
  if (code !== 0) throw new Error(`${file} ended with ${code}`)
  return { ms, cpuMs: Number(cpuMs) }
}

// ── warm ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** CPU of the process per operation, and the latencies of orders, in milliseconds. */
export type Batch = { cpuMs: number; latenciesMs: number[] }
export type Worker = { batch(count: number): Promise<Batch>; stop(): Promise<void> }

/**
 * A process that stays: on each line with a number it does that many operations, one after another. The program
 * exports `batch`, or is a function whose `main_handler` gets fresh orders.
 */
export function startWorker({ file, env }: Program): Worker {
  const driver = `
    const { batch, main_handler } = require(${JSON.stringify(file)})
    const body = ${JSON.stringify(orderBody())}
    let orders = 0
    async function order() {
      const out_trade_no = 'sb01w' + process.pid + 'n' + ++orders
      const text = JSON.stringify({ ...body, pay_content: { ...body.pay_content, out_trade_no } })
      const event = { httpMethod: 'POST', path: '/orders', headers: { 'content-type': 'application/json' },
        queryString: {}, body: text }
      const answer = await main_handler(event, { request_id: 'warm', getRemainingTimeInMillis: () => 10000 })
      if (answer.statusCode !== 201) throw new Error(answer.body)
    }
    require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
      const count = Number(line)
      const latenciesMs = []
      const before = process.cpuUsage()
      if (batch) await batch(count)
      else for (let at = 0; at < count; at++) {
        const start = performance.now()
        await order()
        latenciesMs.push(performance.now() - start)
      }
      const { user, system } = process.cpuUsage(before)
      require('node:fs').writeSync(3, JSON.stringify({ cpuMs: (user + system) / 1000 / count, latenciesMs }) + '\\n')
    }).on('close', () => process.exit(0))`
  const child = spawn(process.execPath, ['-e', driver], { env, stdio: ['pipe', 'pipe', 'inherit', 'pipe'] })
  child.stdout!.resume()
  const lines = createInterface({ input: child.stdio[3] as Readable })[Symbol.asyncIterator]()
  const ended = once(child, 'exit')
  return {
    async batch(count) {
      child.stdin!.write(`${count}\n`)
      const { value } = (await lines.next()) as IteratorResult<string, undefined>
      if (value === undefined) throw new Error(`${file} ended`)
      return JSON.parse(value) as Batch
    },
    async stop() {
      child.stdin!.end()
      await ended
    },
  }
}

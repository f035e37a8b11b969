import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Work } from '../../../deploy/apply'
import { readPeriod, showLogs, type LogOptions } from '../../../deploy/logs'
import { verifyTc3 } from '../../support/controlPlane/tc3'
import { wantedService } from './wanted'

const keys = { secretId: 'AKIDexample', secretKey: 'a secret key of tests' }
const NOW = Date.parse('2026-11-23T14:00:00Z')

type Line = { Time: number; text: string }
type Search = { TopicId: string; Query: string; From: number; To: number; Limit: number; Context: string }

/** The log service: two lines a page, found by time, signatures checked. */
let server: Server
let endpoint: string
let lines: Line[]
let searches: Search[]
beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method = '', url: target = '', headers } = request
      const answer = (Response: object) =>
        response.end(JSON.stringify({ Response: { ...Response, RequestId: 'rid' } }))
      try {
        verifyTc3({ method, target, headers, body }, keys, 'cls', Date.now())
      } catch {
        return answer({ Error: { Code: 'AuthFailure.SignatureFailure', Message: 'no' } })
      }
      const search = JSON.parse(body.toString('utf8')) as Search
      searches.push(search)
      const found = lines.filter(({ Time }) => Time >= search.From && Time <= search.To)
      const start = Number(search.Context || 0)
      const Results = found.slice(start, start + 2).map(({ Time, text }, at) => ({
        ...{ Time, PkgId: 'p', PkgLogId: String(start + at) },
        LogJson: JSON.stringify({ SCF_Message: text, SCF_FunctionName: 'shop-dev-notify' }),
      }))
      return answer({ Results, ListOver: start + 2 >= found.length, Context: String(start + 2) })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
beforeEach(() => {
  searches = []
  lines = ['one', 'two', 'three'].map((text, at) => ({ Time: NOW - 3000 + at * 1000, text }))
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

async function show(options: Partial<LogOptions> = {}, topic = 'topic-1', looks = 3): Promise<string[]> {
  const written: string[] = []
  let nowMs = NOW
  const work = {
    call: async () => ({ ClsTopicId: topic }),
    service: wantedService(),
    say: () => undefined,
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms
      lines.push({ Time: nowMs, text: `later ${looks}` })
      if (--looks === 0) throw new Error('enough')
    },
  } as unknown as Work
  await showLogs(work, {
    name: 'shop-dev-notify',
    tail: false,
    startTime: undefined,
    filter: undefined,
    intervalMs: 1000,
    credential: keys,
    endpoint,
    write: (line) => written.push(line),
    ...options,
  }).catch((error: Error) => {
    if (error.message !== 'enough') throw error
  })
  return written
}

test('every page of the last ten minutes, in order', async () => {
  expect(await show()).toEqual([
    '2026-11-23T13:59:57.000Z  one',
    '2026-11-23T13:59:58.000Z  two',
    '2026-11-23T13:59:59.000Z  three',
  ])
  expect(searches).toHaveLength(2)
  expect(searches[0]).toMatchObject({
    TopicId: 'topic-1',
    Query: 'SCF_FunctionName:"shop-dev-notify"',
    From: NOW - 600_000,
    To: NOW,
  })
})

test('a filter narrows it down', async () => {
  await show({ filter: 'SCF_Level:ERROR', startTime: '1h' })
  expect(searches[0]).toMatchObject({
    Query: 'SCF_FunctionName:"shop-dev-notify" AND (SCF_Level:ERROR)',
    From: NOW - 3_600_000,
  })
})

test('--tail goes on looking and shows nothing twice', async () => {
  const written = await show({ tail: true })
  expect(written.map((line) => line.split('  ')[1])).toEqual(['one', 'two', 'three', 'later 3', 'later 2'])
})

test('a wrong key is told with its code', async () => {
  await expect(show({ credential: { ...keys, secretKey: 'x' } })).rejects.toThrow(
    /SearchLog: AuthFailure\.SignatureFailure \(request rid\)/,
  )
})

test('a function without a topic says what to set', async () => {
  await expect(show({}, '')).rejects.toThrow(/set cls/)
})

test.each([
  ['90s', 90_000],
  ['10m', 600_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
])('%s is %d ms', (text, ms) => expect(readPeriod(text)).toBe(ms))

test('another period is refused', () => expect(() => readPeriod('yesterday')).toThrow(/10m, 2h or 1d/))

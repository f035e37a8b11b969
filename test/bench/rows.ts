import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dialect } from '../../shared/base/databaseUrl'
import type { Server } from '../support/servers'
import { buildProgram, BUNDLES, OUT, type Way } from './build'
import { effort } from './effort'
import { assertSameMoves, assertSameOrders } from './likeness'
import type { Env, Program } from './measure'
import type { Peer, ServerDialect } from './missing'
import {
  coldPairs,
  counted,
  cpuPairs,
  lifePairs,
  median,
  ms,
  onlyOf,
  quantile,
  summaryOf,
  us,
  warmPairs,
} from './pairs'
import type { Report } from './report'

/** The figures this project promises, each against a baseline measured in the same run. */

export const bundleFolder = (drivers: readonly Dialect[]) => join(OUT, drivers.join('-'))
const ours = (...drivers: Dialect[]) => join(bundleFolder(drivers), 'createOrder.js')

/** The faster of two ways to build a baseline, found out before it is measured against. */
async function faster(source: string, env: Env): Promise<Program & { way: Way }> {
  const unbundled = { file: await buildProgram(source, 'unbundled'), env }
  const bundled = { file: await buildProgram(source, 'bundled'), env }
  const trial = await coldPairs(unbundled, bundled, effort.trialPairs)
  return median(trial.map(({ ours, theirs }) => ours.ms / theirs.ms)) < 1
    ? { ...unbundled, way: 'unbundled' }
    : { ...bundled, way: 'bundled' }
}

export function sizes(report: Report): void {
  const limits = { postgres: 300, mysql: 650, 'mysql and postgres': 650 }
  for (const drivers of BUNDLES) {
    const names = drivers.join(' and ') as keyof typeof limits
    const kb = statSync(ours(...drivers)).size / 1000
    report.add(
      {
        figure: `size of createOrder.js with ${names}`,
        against: '–',
        absolute: `${kb.toFixed(0)} kB`,
        result: '',
      },
      { target: `≤ ${limits[names]} kB`, is: kb <= limits[names] },
    )
  }
}

export async function loads(report: Report): Promise<void> {
  const empty = join(OUT, 'empty.js')
  writeFileSync(empty, '')
  for (const drivers of BUNDLES) {
    const pairs = await lifePairs(ours(...drivers), empty)
    const wall = summaryOf(onlyOf(pairs, 'ms'), ms)
    const cpu = summaryOf(onlyOf(pairs, 'cpuMs'), ms)
    report.add(
      {
        figure: `loading createOrder.js with ${drivers.join(' and ')}, driver not loaded yet`,
        against: 'an empty file',
        absolute: `${wall.ours} : ${wall.theirs}`,
        result: `${wall.moreText} (${counted(pairs.length)})`,
      },
      { target: '≤ +16 ms', is: wall.more <= 16 },
    )
    report.add({
      figure: 'in CPU time',
      against: 'the same',
      absolute: `${cpu.ours} : ${cpu.theirs}`,
      result: cpu.moreText,
    })
  }
}

export async function coldMysql(report: Report, server: Server, env: Env): Promise<void> {
  const baseline = await faster('baseline/mysql.ts', env)
  const own = { file: ours('mysql'), env }
  await assertSameOrders('mysql', server, own, baseline)
  report.cold(
    'cold `createOrder`, HTTPS and MySQL',
    `hand-written with plain mysql2 (${baseline.way}, the faster way for it)`,
    await coldPairs(own, baseline),
    1,
  )
}

export async function coldWechatpay(report: Report, env: Env, wechatEnv: Env): Promise<void> {
  const peer = await faster('baseline/wechatpay.ts', wechatEnv)
  report.cold(
    'cold `createOrder`, HTTPS and MySQL',
    `wechatpay-node-v3 signing (RSA) and posting once, no database (${peer.way}, the faster way for it)`,
    await coldPairs({ file: ours('mysql'), env }, peer),
    1,
  )
}

export async function coldPostgres(report: Report, server: Server, env: Env): Promise<void> {
  const baseline = { file: await buildProgram('baseline/postgres.ts', 'trimmed'), env }
  const own = { file: ours('postgres'), env }
  await assertSameOrders('postgres', server, own, baseline)
  report.cold(
    'cold `createOrder`, HTTPS and PostgreSQL',
    'hand-written with the same driver, trimmed alike',
    await coldPairs(own, baseline),
    1.15,
  )
}

export async function warm(report: Report, server: Server, env: Env): Promise<void> {
  const bare = { file: await buildProgram('baseline/bareMysql.ts', 'unbundled'), env }
  const own = { file: ours('mysql'), env }
  await assertSameOrders('mysql', server, own, bare)
  const pairs = await warmPairs(own, bare)
  const against = 'bare HTTPS post, the same SQL through bare mysql2, two HMACs, the JSON'
  report.ratio('warm `createOrder` (MySQL): CPU per order', against, onlyOf(pairs, 'cpuMs'), ms, 1.25)
  const latencies = (whose: 'ours' | 'theirs') => pairs.flatMap((pair) => pair[whose].latenciesMs)
  for (const [name, at] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const [a, b] = [quantile(latencies('ours'), at), quantile(latencies('theirs'), at)]
    report.add({
      figure: `the same: ${name}`,
      against: 'the same',
      absolute: `${ms(a)} : ${ms(b)}`,
      result: `${(a / b).toFixed(2)} (of ${latencies('ours').length} orders each)`,
    })
  }
}

export async function signing(report: Report, peers: readonly Peer[], env: Env): Promise<void> {
  const { hmac, rsa } = effort.signatures
  const program = async (source: string, way: Way) => ({ file: await buildProgram(source, way), env })
  const own = await program('workers/signOurs.ts', 'trimmed')
  const bare = await program('workers/signBare.ts', 'unbundled')
  report.ratio(
    'sign and verify about 1 kB, CPU',
    'bare createHmac with a KeyObject, twice',
    await cpuPairs([own, hmac], [bare, hmac]),
    us,
    1.3,
  )
  const workers: Record<Peer, string> = {
    'wechatpay-axios-plugin': 'signWechatpayAxios',
    'wechatpay-node-v3': 'signWechatpayNode',
    'alipay-sdk': 'signAlipay',
  }
  for (const peer of peers) {
    const other = await program(`workers/${workers[peer]}.ts`, 'unbundled')
    report.ratio('the same', `${peer} (RSA)`, await cpuPairs([own, hmac], [other, rsa]), us)
  }
}

export async function moves(report: Report, dialect: ServerDialect, server: Server, env: Env): Promise<void> {
  const bareSource = dialect === 'mysql' ? 'workers/moveBareMysql.ts' : 'workers/moveBarePostgres.ts'
  const own = { file: await buildProgram('workers/moveOurs.ts', 'trimmed'), env }
  const bare = { file: await buildProgram(bareSource, 'unbundled'), env }
  await assertSameMoves(dialect, server, own, bare)
  const driver = dialect === 'mysql' ? 'mysql2' : 'pg'
  report.ratio(
    `guarded move in the store (${dialect}), CPU`,
    `its SQL through bare ${driver}`,
    await cpuPairs([own, effort.moves], [bare, effort.moves]),
    us,
    1.5,
  )
}

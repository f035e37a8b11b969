import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Dialect } from '../../shared/base/databaseUrl'
import { makeCertificates, type Certificates } from '../support/certificates'
import { startChild } from '../support/children'
import { startMariadb, startPostgres, type Server } from '../support/servers'
import { BUNDLES } from './build'
import { openCheckouts } from './checkouts'
import { commitCalled, git, uncommitted, type Commit } from './commits'
import { effort } from './effort'
import { startFar, type Far } from './far'
import { startWorker, type Cold, type Env, type Program } from './measure'
import { lookAround, type ServerDialect } from './missing'
import { coldPairs, cpuPairs, lifePairs, ms, onlyOf, summaryOf, us, warmPairs } from './pairs'
import type { Pair, PairOf } from './pairs'
import { loadText, machineText } from './report'

/*
 * `npm run bench:compare -- BASE [HEAD] [--smoke]`: two commits on one machine in one run, in alternating pairs. Each is
 * built, and its databases are migrated, by its own code, and it gets the environment of its own sandbox. The far end is
 * HEAD's for both, so that it is not what is compared. Prints a table and writes nothing into the repository.
 */

const USAGE = 'npm run bench:compare -- BASE [HEAD] [--smoke]'

const MOVE_SOURCES = ['test/bench/workers/moveOurs.ts', 'test/bench/workers/row.ts']

/** One commit, built. */
type Side = {
  out: string
  env: Record<ServerDialect, Env>
  /** Why its worker of guarded moves could not be built. */
  moveFault: string | undefined
}
type Urls = Partial<Record<ServerDialect, string>>
type Ground = { certificates: Certificates; far: Far }

async function main(): Promise<void> {
  const [baseName, headName, ...others] = process.argv.slice(2).filter((word) => word !== '--smoke')
  if (baseName === undefined || others.length > 0 || baseName.startsWith('-')) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  const startedMs = performance.now()
  const loadBefore = loadText()
  const [base, head] = [commitCalled(baseName), commitCalled(headName ?? 'HEAD')]
  const { servers, leftOut } = lookAround(false)
  const checkouts = openCheckouts()
  const certificates = makeCertificates(checkouts.dir)
  const checkout = {
    theirs: await checkouts.checkOut(base, 'base'),
    ours: await checkouts.checkOut(head, 'head'),
  }

  const table = openTable()
  for (const one of leftOut) table.note(`left out: ${one}`)
  if (checkout.ours.packages !== checkout.theirs.packages)
    table.note(
      'Packages of one commit were installed and those of the other are linked: some hundred bytes of the sizes are the ' +
        'longer paths of linked ones.',
    )
  const started: Partial<Record<ServerDialect, Server>> = {}
  const far = await startFar(certificates, checkout.ours.root)
  try {
    if (servers.includes('mysql')) started.mysql = await startMariadb()
    if (servers.includes('postgres')) started.postgres = await startPostgres()
    const ground = { certificates, far }
    const sides = {
      theirs: await build(checkout.theirs.root, await freshDatabases(started), ground),
      ours: await build(checkout.ours.root, await freshDatabases(started), ground),
    }
    compareSizes(table, sides)
    await compareLoads(table, sides)
    for (const dialect of servers) {
      await compareOrders(table, dialect, sides)
      await compareMoves(table, dialect, sides, [base, head])
    }
  } finally {
    await Promise.all([far, ...Object.values(started)].map((one) => one.stop()))
  }

  const tookS = (performance.now() - startedMs) / 1000
  console.log(`\nBASE ${nameOf(base)}\nHEAD ${nameOf(head)}`)
  if (headName === undefined && uncommitted().length > 0)
    console.log('Uncommitted changes of the working tree are in neither.')
  console.log(`${new Date().toISOString()}, ${machineText()}.`)
  console.log(`Load average ${loadBefore} before and ${loadText()} after ${tookS.toFixed(0)} s.\n`)
  console.log(table.text())
}

const nameOf = ({ hash, subject }: Commit) => `${hash} ${subject}`

// ── what is compared ───────────────────────────────────────────────────────────────────────────────────────────

type Sides = PairOf<Side>
type Table = ReturnType<typeof openTable>

function openTable() {
  const rows = [['figure', 'BASE', 'HEAD', 'HEAD : BASE', 'HEAD − BASE']]
  const notes: string[] = []
  const add = (...row: string[]) => {
    rows.push(row)
    console.error(`measured: ${row[0]}`)
  }
  return {
    add,
    pairs(figure: string, pairs: readonly Pair[], show: (value: number) => string) {
      const { ours, theirs, ratioText, moreText } = summaryOf(pairs, show)
      add(figure, theirs, ours, ratioText, moreText)
    },
    cold(figure: string, pairs: readonly PairOf<Cold>[]) {
      this.pairs(`${figure}, wall time`, onlyOf(pairs, 'ms'), ms)
      this.pairs(`${figure}, CPU time`, onlyOf(pairs, 'cpuMs'), ms)
    },
    note: (text: string) => void notes.push(text),
    text(): string {
      const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
      const line = (cells: string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`
      const [heading, ...rest] = rows.map(line)
      return [heading, line(widths.map((width) => '-'.repeat(width))), ...rest, ...notes].join('\n')
    },
  }
}

const createOrder = ({ out }: Side, ...drivers: Dialect[]) => join(out, drivers.join('-'), 'createOrder.js')

function compareSizes(table: Table, { ours, theirs }: Sides): void {
  for (const drivers of BUNDLES) {
    const [head, base] = [ours, theirs].map((side) => statSync(createOrder(side, ...drivers)).size / 1000)
    const kb = (value: number) => `${value.toFixed(1)} kB`
    table.add(
      `size of createOrder.js with ${drivers.join(' and ')}`,
      kb(base!),
      kb(head!),
      (head! / base!).toFixed(3),
      `${head! < base! ? '−' : '+'}${kb(Math.abs(head! - base!))}`,
    )
  }
}

async function compareLoads(table: Table, { ours, theirs }: Sides): Promise<void> {
  for (const drivers of BUNDLES) {
    const pairs = await lifePairs(createOrder(ours, ...drivers), createOrder(theirs, ...drivers))
    table.cold(`a process that loads createOrder.js with ${drivers.join(' and ')}`, pairs)
  }
}

async function compareOrders(table: Table, dialect: ServerDialect, sides: Sides): Promise<void> {
  const program = (side: Side): Program => ({ file: createOrder(side, dialect), env: side.env[dialect] })
  const [head, base] = [program(sides.ours), program(sides.theirs)]
  table.cold(`cold createOrder, HTTPS and ${dialect}`, await coldPairs(head, base))
  const pairs = onlyOf(await warmPairs(head, base), 'cpuMs')
  table.pairs(`warm createOrder, HTTPS and ${dialect}, CPU per order`, pairs, ms)
}

/** By the worker of each commit: only it knows the columns of its own table. */
async function compareMoves(
  table: Table,
  dialect: ServerDialect,
  sides: Sides,
  [base, head]: [Commit, Commit],
): Promise<void> {
  const figure = `guarded move in the store (${dialect}), CPU`
  const program = (side: Side): Program => ({ file: join(side.out, 'moveOurs.js'), env: side.env[dialect] })
  for (const [name, side] of [
    ['BASE', sides.theirs],
    ['HEAD', sides.ours],
  ] as const) {
    const fault = side.moveFault ?? (await faultOf(program(side)))
    if (fault !== undefined) return table.note(`left out: ${figure}: the worker of ${name}: ${fault}`)
  }
  table.pairs(
    figure,
    await cpuPairs([program(sides.ours), effort.moves], [program(sides.theirs), effort.moves]),
    us,
  )
  if (differ(base, head, MOVE_SOURCES))
    table.note(`${figure}: what is moved, and how, is not the same in both commits.`)
}

async function faultOf(program: Program): Promise<string | undefined> {
  const worker = startWorker(program)
  try {
    await worker.batch(1)
    return undefined
  } catch (error) {
    return (error as Error).message
  } finally {
    await worker.stop()
  }
}

function differ(base: Commit, head: Commit, files: readonly string[]): boolean {
  return git('diff', '--name-only', base.hash, head.hash, '--', ...files) !== ''
}

// ── building them ──────────────────────────────────────────────────────────────────────────────────────────────

async function freshDatabases(servers: Partial<Record<ServerDialect, Server>>): Promise<Urls> {
  const urls: Urls = {}
  for (const [dialect, server] of Object.entries(servers) as [ServerDialect, Server][])
    urls[dialect] = await server.freshDatabase()
  return urls
}

/** In a process of its own, where every module is the commit's. */
async function build(root: string, databases: Urls, { certificates, far }: Ground): Promise<Side> {
  const out = join(root, '.build', 'compare')
  const given = {
    out,
    databases,
    bundles: BUNDLES,
    sandbox: far.sandbox,
    worker: join(root, MOVE_SOURCES[0]!),
  }
  const child = startChild(
    `
    const { join } = require('node:path')
    const { out, databases, bundles, sandbox, worker } = ${JSON.stringify(given)}
    const { bundle, bundleOptions } = load('deploy/bundle')
    for (const drivers of bundles) await bundle({ drivers, outdir: join(out, drivers.join('-')) })
    const outfile = join(out, 'moveOurs.js')
    const options = { ...bundleOptions(['mysql', 'postgres']), entryPoints: [worker], outfile, logLevel: 'silent' }
    const moveFault = await require('esbuild').build(options).then(() => undefined, (error) => error.message)
    const { openStore } = load('shared/store/open')
    const { migrate } = load('shared/store/migrate')
    const { Secret } = load('shared/base/secrets')
    const { systemClock } = load('shared/base/time')
    const { sandboxEnv } = load('local/sandbox/env')
    const env = {}
    for (const [dialect, url] of Object.entries(databases)) {
      const store = openStore({ dialect, url: new Secret(url) }, systemClock)
      await migrate(store)
      await store.close()
      env[dialect] = sandboxEnv(sandbox, url, '127.0.0.1')
    }
    console.log(JSON.stringify({ env, moveFault }))`,
    root,
  )
  const line = await child.line()
  if (line === undefined) throw new Error(`${root} cannot be built`)
  const { env, moveFault } = JSON.parse(line) as Pick<Side, 'env' | 'moveFault'>
  for (const one of Object.values(env)) one['CLOUD_PAY_CA_FILE'] = certificates.caFile
  return { out, env, moveFault }
}

main().catch((error: unknown) => {
  console.error(error)
  // What was started ends with this process: its input closes.
  process.exit(1)
})

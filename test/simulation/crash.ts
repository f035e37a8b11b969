import ts from 'typescript'
import { addReached, give, runBatch, type Reached } from './batch'
import type { Rewrite } from '../support/planting'
import { bundleWorker } from './bundle'
import { PHASES } from './crashPoints'
import type { SeededPlan } from './worker'

/**
 * A crash at every `await` there is, enumerated and not sampled. The compiler finds them; ordinary runs, faults
 * included, tell which of them reach which await (a survey); then each is crashed at, and the run goes on to its end
 * without the one that died.
 */
const FOLDERS = /^(shared\/(payments|store|cloudpay|outbox)\/|shared\/http\/door\.ts$|functions\/)/

/** Awaits that no run can come to here, and why. */
const ELSEWHERE: readonly [RegExp, string][] = [
  [/^shared\/store\/(mysql|postgres|sqlite)\.ts$/, 'a driver: the simulator brings its own wire'],
  [/^shared\/store\/(open|migrate|migrations|charset)\.ts$/, 'before the first event'],
  [
    /^shared\/(payments\/quote|store\/merchants)\.ts$/,
    'quotes, whose check waits on threads of the platform, and sub-merchants in the database',
  ],
  [/^shared\/(payments|store)\/retention\.ts$/, 'what is a month old: a run of the simulator is days'],
  [/^shared\/payments\/micro\.ts$/, 'micro_pay: test/property/micro.test.ts plays it'],
  [
    /^(shared\/(payments|store)\/board\.ts|functions\/board\.ts)$/,
    'the board: it reads, and says of an anomaly that somebody looked',
  ],
]

/** Single awaits, by how they begin. */
const NOT_IN_RUNS: readonly [file: string, text: RegExp, why: string][] = [
  [
    'shared/store/connection.ts',
    /executeQuery|#opening\?|wire\.end\(\)|sayQuery\(query\)$/,
    "Kysely's driver: migrations and tests",
  ],
  ['shared/payments/bill.ts', /^await compareWindow\(/, 'the command reconcile: the timer goes by windows'],
  [
    'shared/payments/bill.ts',
    /^await noteUnreadEntry/,
    'an entry that cannot be read: test/unit/payments/bill.test.ts',
  ],
  [
    'shared/payments/billCompare.ts',
    /^await note\(.*(paid_here_only|\.\.\.anomaly)/,
    'money that upstream has never heard of: that would be invented',
  ],
  [
    'shared/payments/billDaily.ts',
    /^await (postponeWindowsOf\(.*DAY_S|tryLater|raise\(.*bill_short|postponeWindow\(.*waitS)/,
    'a sub-merchant that is not served any more, and an hour that cannot be read: a bill is told wrong twice at most',
  ],
  [
    'shared/payments/notify.ts',
    /^await (lookAtNotified|findRefund|lookAtRefund|importRefunds)/,
    'notifications of refunds: test/unit/payments/notifyKinds.test.ts',
  ],
  ['shared/store/notifications.ts', /refundsRow|paidRow/, 'notifications of refunds: see above'],
  [
    'shared/payments/refundRefused.ts',
    /^await listRefunds/,
    'a refund that never arrived beside one in the console: test/unit/payments/refundEnds.test.ts',
  ],
  ['shared/payments/reconcile.ts', /^await listUnknownStates/, 'rows of a newer version'],
  ['shared/store/due.ts', /selectUnknown/, 'rows of a newer version'],
  ['shared/payments/create.ts', /^await isQuoteUsed/, 'quotes: see above'],
  ['shared/payments/refresh.ts', /^await leaveUndecided/, 'micro_pay: see above'],
  ['shared/store/orders.ts', /findByQuote/, 'quotes: see above'],
  ['shared/outbox/shipping.ts', /^await giveUpMessage/, 'ten days of no: test/unit/outbox/shipping.test.ts'],
  ['shared/payments/price.ts', /^await readQuote/, 'quotes: see above'],
  [
    'shared/store/counters.ts',
    /sayCount\(store, say, limit, nowMs/,
    'logins: test/unit/access/login.test.ts',
  ],
  ['shared/store/revocations.ts', /moveRow|insertRow/, 'sessions that are ended: test/unit/access'],
  ['shared/store/anomalies.ts', /selectOwned|selectOne/, 'the board: see above'],
  ['shared/store/beside.ts', /selectTimes/, 'an anomaly that was resolved: nobody resolves any'],
  [
    'shared/payments/reconcile.ts',
    /^await raise\(payments, \{ kind: 'state_unknown'/,
    'rows of a newer version',
  ],
]

export type CrashPoint = { id: string; file: string; text: string }

/** Whether it waits for something itself, and not only in a function that it hands on. */
const awaits = (node: ts.Node): boolean =>
  ts.isAwaitExpression(node) ||
  (!ts.isFunctionLike(node) && (ts.forEachChild(node, (child) => awaits(child) || undefined) ?? false))

function instrument(points: CrashPoint[]): Rewrite {
  return (file, text) => {
    if (!FOLDERS.test(file) || ELSEWHERE.some(([pattern]) => pattern.test(file))) return undefined
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
    const inserts: { at: number; text: string }[] = []
    const visit = (node: ts.Node): void => {
      if (ts.isAwaitExpression(node)) {
        const { line, character } = source.getLineAndCharacterOfPosition(node.getStart())
        const id = `${file}:${line + 1}:${character + 1}`
        points.push({ id, file, text: node.getText().replaceAll(/\s+/g, ' ').slice(0, 80) })
        const from = node.expression.getFullStart()
        // Every function that is async costs the run time; only what awaits something itself has to be.
        const go = awaits(node.expression) ? 'async () =>' : '() =>'
        inserts.push({ at: from, text: ` crashPoint('${id}', ${go} (` }, { at: node.end, text: '))' })
      }
      ts.forEachChild(node, visit)
    }
    visit(source)
    let result = text
    for (const { at, text: inserted } of inserts.sort((a, b) => b.at - a.at)) {
      result = result.slice(0, at) + inserted + result.slice(at)
    }
    return result
  }
}

/** The simulator with its awaits counted, and which there are. */
export type Instrumented = { bundle: string; points: CrashPoint[] }

export async function bundleInstrumented(): Promise<Instrumented> {
  const points: CrashPoint[] = []
  return { bundle: await bundleWorker('crash', instrument(points)), points }
}

/** Awaits that none of the runs came to. */
export const unreached = (points: readonly CrashPoint[], reached: Reached): CrashPoint[] =>
  points.filter(
    ({ id, file, text }) =>
      PHASES.some((phase) => !reached.has(`${id} ${phase}`)) &&
      !NOT_IN_RUNS.some(([known, pattern]) => file === known && pattern.test(text)),
  )

/** So many ordinary runs at a time look for what has not been reached. */
const SURVEY = 2000

/** Runs from this seed on, until every await has been reached or `runs` are over. */
export async function survey(
  { bundle, points }: Instrumented,
  { from, runs, visits, reached }: { from: number; runs: number; visits: number; reached: Reached },
): Promise<void> {
  for (let seed = from; seed < from + runs && unreached(points, reached).length > 0; seed += SURVEY) {
    const more = await runBatch(bundle, { seed, runs: SURVEY, workers: 2, visits })
    addReached(reached, more.reached, visits)
  }
}

export type Crashed = { crashes: number; bad: { plan: SeededPlan; violations: string[] }[] }

/** Crashes at every visit that is known. */
export async function crashAt({ bundle, points }: Instrumented, reached: Reached): Promise<Crashed> {
  const plans = points.flatMap(({ id }) =>
    PHASES.flatMap((phase) =>
      (reached.get(`${id} ${phase}`) ?? []).map(([seed, visit]) => ({ seed, point: id, phase, visit })),
    ),
  )
  const halves = [0, 1].map((half) => plans.filter((_, at) => at % 2 === half))
  const reports = await Promise.all(
    halves.map((crashes) =>
      give(bundle, { seeds: { from: 0, count: 0, step: 1 }, stopAtFirst: false, crash: { plans: crashes } }),
    ),
  )
  return { crashes: plans.length, bad: reports.flatMap(({ crashed }) => crashed ?? []) }
}

export const replayWords = ({ point, phase, visit, seed }: SeededPlan): string =>
  `npm run crash-everywhere -- --replay ${point} ${phase} ${visit} ${seed}`

/** The timeline goes to stdout. */
export async function replayCrash(plan: SeededPlan): Promise<string[]> {
  const { bundle } = await bundleInstrumented()
  const seeds = { from: 0, count: 0, step: 1 }
  const { crashed } = await give(bundle, { seeds, stopAtFirst: false, trace: true, crash: { plans: [plan] } })
  return crashed?.[0]?.violations ?? []
}

import { cpus, loadavg, release, totalmem } from 'node:os'
import { effort, isSmoke } from './effort'
import type { Cold } from './measure'
import { counted, ms, onlyOf, summaryOf, type Pair, type PairOf } from './pairs'

type Row = {
  figure: string
  against: string
  absolute: string
  result: string
  target: string
  met: '' | 'met' | '**missed**'
}

/** A missed target is printed as missed and fails nothing: whether a machine is quiet is no property of the code. */
export type Target = { target: string; is: boolean }

export type Report = ReturnType<typeof openReport>

/** Rows as they come, each printed at once. */
export function openReport() {
  const rows: Row[] = []

  function add(row: Omit<Row, 'met' | 'target'>, wanted?: Target): void {
    // Once is no measurement.
    const target = isSmoke ? undefined : wanted
    const full: Row = {
      ...row,
      target: target?.target ?? '–',
      met: target ? (target.is ? 'met' : '**missed**') : '',
    }
    rows.push(full)
    console.log([full.figure, full.against, full.absolute, full.result, full.target, full.met].join(' | '))
  }

  function ratio(
    figure: string,
    against: string,
    pairs: readonly Pair[],
    show: (value: number) => string,
    limit?: number,
  ): void {
    const { ours, theirs, ratio, ratioText } = summaryOf(pairs, show)
    add(
      { figure, against, absolute: `${ours} : ${theirs}`, result: ratioText },
      limit === undefined ? undefined : { target: `≤ ${limit.toFixed(2)}`, is: ratio <= limit },
    )
  }

  return {
    rows: rows as readonly Row[],
    add,
    ratio,
    /** Wall time has the target. CPU time is printed beside it: it says the same on a busy machine. */
    cold(figure: string, against: string, pairs: readonly PairOf<Cold>[], limit: number): void {
      ratio(figure, against, onlyOf(pairs, 'ms'), ms, limit)
      ratio('in CPU time', 'the same', onlyOf(pairs, 'cpuMs'), ms)
    },
    missed: () => rows.filter(({ met }) => met === '**missed**').length,
  }
}

export const loadText = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ')

export function machineText(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  const gib = (totalmem() / 2 ** 30).toFixed(1)
  return `${cpus().length} × ${model}, ${gib} GiB, Linux ${release()}, Node ${process.version}`
}

export type Circumstances = {
  commit: string
  loadBefore: string
  tookS: number
  leftOut: readonly string[]
}

/** RESULTS.md, as Markdown that is not formatted yet. */
export function resultsText({ rows }: Report, { commit, loadBefore, tookS, leftOut }: Circumstances): string {
  const columns = [
    'figure',
    'against, in the same run',
    'medians, ours : theirs',
    'median of the pairs',
    'target',
    '',
  ]
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return `# Results of \`npm run bench\`

${commit}
${new Date().toISOString()}, ${machineText()}.
Load average ${loadBefore} before and ${loadText()} after ${tookS.toFixed(0)} s; nothing was pinned.
${counted(effort.pairs)} per row unless it says otherwise, A B then B A; the last figure is the median of the pairs' own ratios.

${line(columns)}
${line(columns.map(() => '---'))}
${rows.map((row) => line(Object.values(row))).join('\n')}

${leftOut.length === 0 ? 'Every row ran.' : `Left out:\n\n${leftOut.map((one) => `- ${one}`).join('\n')}`}
`
}

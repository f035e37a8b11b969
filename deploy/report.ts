import type { Row } from './plan'

const SIGN: Record<Row['change'], string> = { create: '+', update: '~', delete: '-' }

/** The plan as a table: what, where, and how it differs. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ change, resource, detail }) => [`${SIGN[change]} ${change}`, resource, detail])
  const widths = [0, 1].map((column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map(([change, resource, detail]) =>
      `  ${change!.padEnd(widths[0]!)}  ${resource!.padEnd(widths[1]!)}  ${detail}`.trimEnd(),
    )
    .join('\n')
}

/** How much of it there is, in one line. */
export function countOf(rows: readonly Row[]): string {
  const count = (change: Row['change']) => rows.filter((row) => row.change === change).length
  return `${count('create')} to create, ${count('update')} to change, ${count('delete')} to delete`
}

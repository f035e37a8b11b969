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

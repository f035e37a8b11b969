import { at, button, fill, say } from './dom'

/** A list of the board that is read in pages, under `NAME-rows`, `NAME-note` and `NAME-more`. */
export function openPages<Row>(options: {
  name: string
  read: (before?: string) => Promise<{ rows: Row[]; next: string | null }>
  keyOf: (row: Row) => string
  draw: (row: Row) => HTMLElement
  empty: () => string
  onRows?: (rows: readonly Row[], hasMore: boolean) => void
}) {
  const { name, read, keyOf, draw, empty, onRows } = options
  let rows: Row[] = []
  let next: string | null = null
  /** Further pages are on the screen: they stay as they are until the person asks for the first one again. */
  let isPaged = false
  /** What is under way when something newer begins is not heard any more. */
  let turn = 0

  function show(): void {
    fill(at(`${name}-rows`), rows, keyOf, draw)
    say(`${name}-note`, rows.length > 0 ? '' : empty())
    const table = at(`${name}-rows`).closest('table')
    if (table) table.hidden = rows.length === 0
    button(`${name}-more`).hidden = next === null
    onRows?.(rows, next !== null)
  }

  const pages = {
    /** Says whether anything has changed. */
    async refresh(): Promise<boolean> {
      if (isPaged) return false
      const mine = ++turn
      const page = await read()
      if (mine !== turn) return false
      const before = JSON.stringify(rows)
      ;({ rows, next } = page)
      show()
      return before !== JSON.stringify(rows)
    },
    async more(): Promise<void> {
      if (next === null) return
      const mine = ++turn
      const page = await read(next)
      if (mine !== turn) return
      isPaged = true
      const known = new Set(rows.map(keyOf))
      rows = [...rows, ...page.rows.filter((row) => !known.has(keyOf(row)))]
      next = page.next
      show()
    },
    /** Begins anew; the rows stay until others come. */
    reset(): void {
      turn++
      isPaged = false
    },
    clear(): void {
      pages.reset()
      rows = []
      next = null
      show()
      say(`${name}-note`, '')
    },
    change(row: Row): void {
      rows = rows.map((one) => (keyOf(one) === keyOf(row) ? row : one))
      show()
    },
  }
  return pages
}

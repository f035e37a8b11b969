import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The tables of security name nothing that is not there: no file, and no test of a name that none has. */
const root = resolve(__dirname, '../..')
const text = ['owasp-api', 'asvs']
  .map((name) => readFileSync(join(root, `docs/security/${name}.md`), 'utf8'))
  .join('\n')

const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (item|---)/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

type Named = { file: string; name: string | undefined }

/** `file` "name"; "another name in the same file"; `another file` … */
function namedIn(cell: string): Named[] {
  const named: Named[] = []
  let file = ''
  for (const [, path, name] of cell.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (path !== undefined) named.push({ file: (file = path), name: undefined })
    else named.push({ file, name: name! })
  }
  return named
}

/** In the source a name may be broken by nothing but the quotes around it. */
const has = (file: string, name: string): boolean => readFileSync(join(root, file), 'utf8').includes(name)
const faultsOf = (cell: string): string[] =>
  namedIn(cell).flatMap(({ file, name }) => {
    if (!existsSync(join(root, file))) return [`${file} is not there`]
    return name === undefined || has(file, name) ? [] : [`${file} has no test named ${name}`]
  })

test('the tables are read: all ten of the API Top 10, and the chapters of ASVS that apply', () => {
  const items = rows.map(([item]) => item!)
  for (let nth = 1; nth <= 10; nth++)
    expect(items.filter((item) => item.startsWith(`API${nth} `))).toHaveLength(1)
  const chapters = items.flatMap((item) => /^\*\*(V\d+) /.exec(item)?.[1] ?? [])
  expect(chapters).toEqual([
    'V1',
    'V2',
    'V4',
    'V7',
    'V8',
    'V9',
    'V10',
    'V11',
    'V12',
    'V13',
    'V14',
    'V15',
    'V16',
  ])
  expect(rows.every((cells) => cells.length === 3)).toBe(true)
})

test.each(rows)('%s', (_item, where = '', shown = '') => {
  expect(namedIn(shown).length).toBeGreaterThan(0)
  expect(faultsOf(shown)).toEqual([])
  // In the column before only what looks like a path of ours.
  const files = namedIn(where).filter(({ file }) =>
    /^(shared|deploy|functions)\/|^serverless\.yml$/.test(file),
  )
  expect(files.filter(({ file }) => !existsSync(join(root, file)))).toEqual([])
})

test('a file or a name that is not there would be noticed', () => {
  expect(faultsOf('`test/unit/none.test.ts` "x"')).toEqual([
    'test/unit/none.test.ts is not there',
    'test/unit/none.test.ts is not there',
  ])
  expect(faultsOf('`test/structure/security.test.ts` "no test is called this' + ' way"')).toHaveLength(1)
})

test('SECURITY.md says how to report a hole, and leads to every table', () => {
  const first = readFileSync(join(root, 'SECURITY.md'), 'utf8')
  expect(first).toContain('## Reporting a hole')
  for (const name of ['owasp-api', 'asvs', 'personal-data'])
    expect(first).toContain(`(docs/security/${name}.md)`)
})

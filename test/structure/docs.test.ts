import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { namesOfConfiguration } from '../../deploy/variables'
import { anchorOf, fill, languageOf, readPages } from '../../local/docs/pages'
import { TABLES } from '../../local/docs/tables'
import { VARIABLES } from '../../local/docs/variables'
import { FAULTS } from '../../shared/base/errors'
import { NUMBERS } from '../../shared/base/numbers'
import { ANOMALY_KINDS } from '../../shared/order/anomaly'
import { MESSAGE_TYPES } from '../../shared/order/message'
import { ORDER_FLAGS } from '../../shared/order/order'
import { REFUND_STATES } from '../../shared/order/refund'
import { ORDER_STATES } from '../../shared/order/state'
import { REFERRING_VARIABLES } from '../../shared/tencent/names'

/** The documents say what is, in both languages, and lead where they point. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const found = readPages(root)
const pages = found.map(({ file }) => file)

const withoutFences = (text: string) => text.replaceAll(/^ *```[^]*?^ *```$/gm, '')

const anchorsOf = (file: string): Set<string> => {
  const found = new Set<string>()
  for (const [, heading] of withoutFences(read(file)).matchAll(/^#{1,6} +(.+)$/gm)) {
    const base = anchorOf(heading!)
    let name = base
    for (let n = 1; found.has(name); n++) name = `${base}-${n}`
    found.add(name)
  }
  return found
}

type Link = { file: string; target: string }
const links: Link[] = pages.flatMap((file) =>
  [
    ...withoutFences(read(file))
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(([, target]) => ({ file, target: target! }))
    .filter(({ target }) => !/^[a-z]+:/.test(target)),
)

test('an anchor is what the hosts of repositories make of a heading', () => {
  expect(anchorOf('The board, and 发货信息')).toBe('the-board-and-发货信息')
  expect(anchorOf('`POST /orders` of [yours](api.md#x)')).toBe('post-orders-of-yours')
})

test('there are pages and links', () => {
  expect(pages.length).toBeGreaterThan(8)
  expect(links.length).toBeGreaterThan(20)
})

test.each(pages)('%s: a table is not padded, so that one changed cell is one changed line', (file) => {
  const padded = withoutFences(read(file))
    .split('\n')
    .filter((line) => line.startsWith('|') && /[^|\s] {2,}\||\| {2,}[^|\s]|-{4,} *\|/.test(line))
  expect(padded).toEqual([])
})

test.each(links)('$file: $target leads somewhere', ({ file, target }) => {
  const [path = '', anchor] = target.split('#')
  const goal = path === '' ? file : join(dirname(file), path)
  expect([goal, existsSync(join(root, goal))]).toEqual([goal, true])
  if (anchor !== undefined && goal.endsWith('.md'))
    expect([...anchorsOf(goal)]).toContain(decodeURIComponent(anchor))
})

// ── what comes from the code ───────────────────────────────────────────────────────────────────────────────────────

test.each(found)('$file: its tables are what the code says (npm run docs)', ({ text, wanted }) => {
  expect(text).toBe(wanted)
})

test.each(['en', 'zh'])('every table stands in a page of %s, once', (language) => {
  const used = found.filter(({ file }) => languageOf(file) === language).flatMap(({ tables }) => tables)
  expect(used.sort()).toEqual(Object.keys(TABLES).sort())
})

test('a table that was changed by hand is seen, and one that there is not is refused', () => {
  const page = (inside: string) => `<!-- from the code: doors -->\n${inside}\n<!-- /from the code -->`
  const { text } = fill('docs/en/x.md', page(''), root)
  expect(fill('docs/en/x.md', text, root).text).toBe(text)
  expect(fill('docs/en/x.md', text.replace('`refund`', '`read`'), root).text).toBe(text)
  expect(fill('docs/zh/x.md', text, root).text).not.toBe(text)
  expect(() => fill('docs/en/x.md', page('').replace('doors', 'windows'), root)).toThrow('no table "windows"')
})

/** Whatever the configuration asks for: a new variable cannot be forgotten here. */
const variables = [...namesOfConfiguration()]

test('every variable that is read is described, and no other', () => {
  expect(variables).toEqual(
    expect.arrayContaining(['CLOUD_PAY_AUTHEN_KEY', 'CALLERS', 'ORDER_MAX_FEN', 'SSM_REGION']),
  )
  expect(Object.keys(VARIABLES).sort()).toEqual(variables.sort())
  for (const name of [...REFERRING_VARIABLES, ...Object.keys(NUMBERS)])
    expect(Object.keys(VARIABLES)).toContain(name)
})

// ── two languages ──────────────────────────────────────────────────────────────────────────────────────────────────

const namesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.md'))
    .sort()
const twins: [en: string, zh: string][] = [
  ['README.md', 'README.zh-CN.md'],
  ...namesIn('docs/en').map((file): [string, string] => [`docs/en/${file}`, `docs/zh/${file}`]),
]

test('every page is there in both languages', () => {
  expect(namesIn('docs/zh')).toEqual(namesIn('docs/en'))
})

/** Words that are the same in every language, however often. */
const said = (file: string, pattern: RegExp): string[] =>
  [...new Set([...read(file).matchAll(pattern)].map(([word]) => word))].sort()

describe.each(twins)('%s and %s', (en, zh) => {
  test.each([
    ['commands', /\b(npm (ci|start|test)|npm run [\w:-]+|npx --no-install sls [a-z]+)/g],
    ['variables', /\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b/g],
    ['codes, fields and states', /(?<=`)[a-z]+(_[a-z]+)+(?=`)/g],
    ['addresses', /(?<=`)(GET|POST) \/[^`\s]*/g],
  ])('say the same %s', (_, pattern) => {
    expect(said(zh, pattern)).toEqual(said(en, pattern))
  })

  test('have the same headings, one under the other', () => {
    const levels = (file: string) =>
      [...withoutFences(read(file)).matchAll(/^(#{1,6}) /gm)].map(([, marks]) => marks!.length)
    expect(levels(zh)).toEqual(levels(en))
  })
})

describe.each(['en', 'zh'])('all pages in %s together', (language) => {
  const text = twins.map(([en, zh]) => read(language === 'en' ? en : zh)).join('\n')
  const words = { ...FAULTS, ...VARIABLES }
  test.each([
    ...Object.keys(words),
    ...ORDER_STATES,
    ...ORDER_FLAGS,
    ...REFUND_STATES,
    ...ANOMALY_KINDS,
    ...MESSAGE_TYPES,
  ])('explain %s', (word) => expect(text).toContain(`\`${word}\``))
})

// ── what is named exists ───────────────────────────────────────────────────────────────────────────────────────────

const { scripts, dependencies } = JSON.parse(read('package.json')) as Record<
  'scripts' | 'dependencies',
  Record<string, string>
>

// What is gone is named where changes are told.
test.each(pages.filter((file) => file !== 'CHANGELOG.md'))(
  '%s: tells no command that does not exist',
  (file) => {
    const told = [...read(file).matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name!)
    expect(told.filter((name) => !(name in scripts))).toEqual([])
  },
)

/** What sls is asked for, and what is said after it. Some options are its own. */
const plugin = read('deploy/plugin.ts')
const OF_SLS = ['stage', 'path', 'data', 'tail', 'package']
const slsOf = (text: string) =>
  [...text.matchAll(/\bsls ([a-z]+)((?: [^`|,\n]*)?)/g)].map(([, word, rest]) => ({
    word: word!,
    rest: rest!,
  }))

test.each(pages.filter((file) => slsOf(read(file)).length > 0))(
  '%s: sls knows what it is asked for',
  (file) => {
    // `sls` in a sentence is followed by an English word and no option; only what is typed is looked at.
    const typed = [...read(file).matchAll(/(?:npx |`)(sls [^`\n#]*)/g)].flatMap(([, line]) => slsOf(line!))
    const unknown = typed.filter(
      ({ word, rest }) =>
        !new RegExp(`'(?:before:)?${word}:`).test(plugin) ||
        [...rest.matchAll(/--([a-z-]+)/g)].some(
          ([, option]) => !OF_SLS.includes(option!) && !new RegExp(`\\b'?${option}'?[:,]`).test(plugin),
        ),
    )
    expect(unknown).toEqual([])
  },
)

test('architecture.md maps every room', () => {
  const map = /```\nfunctions\/[^]*?```/.exec(read('docs/architecture.md'))![0]
  const rooms = readdirSync(join(root, 'shared'), { withFileTypes: true }).map((entry) =>
    entry.isDirectory() ? `${entry.name}/` : entry.name,
  )
  for (const room of [...rooms, 'functions/', 'cli/', 'local/', 'deploy/', 'web/', 'docs/', 'test/'])
    expect(map).toContain(room)
})

test('decisions.md says why each dependency of the functions is there', () => {
  for (const name of [...Object.keys(dependencies), 'libsql', 'esbuild'])
    expect(read('docs/decisions.md').toLowerCase()).toContain(name)
})

// ── short enough to be read ────────────────────────────────────────────────────────────────────────────────────────

test.each([
  ...twins.flat().map((file): [string, number] => [file, basename(file).startsWith('README') ? 150 : 220]),
  ...namesIn('docs').map((file): [string, number] => [`docs/${file}`, 220]),
  ['SECURITY.md', 200] as [string, number],
])('%s has at most %i lines', (file, most) => {
  expect(read(file).split('\n').length - 1).toBeLessThanOrEqual(most)
})

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Every page in Markdown, those of the folders included. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
const pages = listed.split('\n').filter((file) => file !== '')

const withoutFences = (text: string) => text.replaceAll(/^ *```[^]*?^ *```$/gm, '')

/** What a heading is called in an address, as the hosts of repositories do it. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
    .replaceAll(/\s/g, '-')

const anchorsOf = (file: string): Set<string> => {
  const found = new Set<string>()
  for (const [, heading] of withoutFences(read(file)).matchAll(/^#{1,6} +(.+)$/gm)) {
    const base = anchorOf(heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'))
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

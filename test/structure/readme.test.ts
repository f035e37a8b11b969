import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FAULTS } from '../../shared/base/errors'
import { ORDER_STATES } from '../../shared/order/state'

/** What the README lists is what there is, in both languages. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const variables = [
  ...read('shared/base/config.ts').matchAll(/'((?:CLOUD_PAY|DATABASE|ORDER|CALLERS|GATEWAY)[A-Z_]*)'/g),
].map(([, name]) => name!)
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

describe.each(['README.md', 'README.zh-CN.md'])('%s', (file) => {
  const text = read(file)

  test.each([...new Set(variables)])('names the variable %s', (name) => expect(text).toContain(`\`${name}\``))
  test.each(Object.keys(FAULTS))('names the code %s', (code) => expect(text).toContain(`\`${code}\``))
  test.each(ORDER_STATES)('explains the state %s', (state) => expect(text).toContain(`\`${state}\``))

  test('maps every room', () => {
    const map = /```\nfunctions\/[^]*?```/.exec(text)![0]
    const rooms = readdirSync(join(root, 'shared'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    )
    for (const room of [...rooms, 'functions/', 'cli/', 'local/', 'deploy/', 'test/'])
      expect(map).toContain(room)
  })

  test('tells no command that does not exist', () => {
    const told = [...text.matchAll(/npm run (\w+)/g)].map(([, name]) => name!)
    expect(told.filter((name) => !(name in scripts))).toEqual([])
  })

  test('names every dependency of the functions', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    for (const name of [...Object.keys(dependencies), 'libsql', 'esbuild'])
      expect(text.toLowerCase()).toContain(name)
  })
})

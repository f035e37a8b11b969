import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Installing runs no package's own script, whatever npm's version: what is installed has only been unpacked. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

type Lock = { packages: Record<string, { hasInstallScript?: true }> }
const PROJECTS = ['.', 'test/runtimes', 'test/bench']

test.each(PROJECTS)('every package of %s that has an install script is denied it by name', (project) => {
  const { packages } = JSON.parse(read(join(project, 'package-lock.json'))) as Lock
  const scripted = Object.entries(packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
  const { allowScripts = {} } = JSON.parse(read(join(project, 'package.json'))) as {
    allowScripts?: Record<string, boolean>
  }
  expect(allowScripts).toEqual(Object.fromEntries(scripted.map((name) => [name, false])))
})

test('an npm that does not know allowScripts is told the same', () => {
  expect(read('.npmrc')).toMatch(/^ignore-scripts=true$/m)
})

test.each(['LICENSE', '.nvmrc', '.editorconfig', 'CHANGELOG.md', 'CONTRIBUTING.md'])(
  'there is a %s',
  (file) => {
    expect(existsSync(join(root, file))).toBe(true)
  },
)

test('one version of Node is named everywhere', () => {
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } }
  expect(engines.node).toBe(`>=${read('.nvmrc').trim()}`)
})

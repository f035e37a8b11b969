import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { QUICK, REST } from '../parts'

const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

describe('test/README.md', () => {
  const text = read('test/README.md')
  const folders = readdirSync(join(root, 'test'), { withFileTypes: true }).filter((one) => one.isDirectory())

  test.each(folders.map(({ name }) => name))('says what %s/ answers', (name) =>
    expect(text).toContain(`\`${name}/`),
  )
  test.each([...QUICK, ...REST].flat().filter(({ name }) => !['types', 'lint', 'format'].includes(name)))(
    'names the part $name, and the part runs tests',
    ({ name, command }) => {
      expect(text).toMatch(new RegExp(`\\| (.*, )?${name}(, .*)? +\\|`))
      for (const path of command.filter((word) => word.startsWith('test/')))
        expect(existsSync(join(root, path))).toBe(true)
    },
  )
  test('leaves no folder with tests out of both commands', () => {
    const paths = [...QUICK, ...REST]
      .flat()
      .flatMap(({ command }) => command.filter((word) => word.startsWith('test/')))
    const tested = folders
      .map(({ name }) => name)
      .filter((name) =>
        readdirSync(join(root, 'test', name), { recursive: true }).some((file) =>
          String(file).endsWith('.test.ts'),
        ),
      )
    for (const name of tested) expect(paths.some((path) => path.startsWith(`test/${name}/`))).toBe(true)
  })
})

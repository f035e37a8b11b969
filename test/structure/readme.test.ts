import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FAULTS } from '../../shared/base/errors'
import { ANOMALY_KINDS } from '../../shared/order/anomaly'
import { MESSAGE_TYPES } from '../../shared/order/message'
import { REFUND_STATES } from '../../shared/order/refund'
import { ORDER_STATES } from '../../shared/order/state'
import { QUICK, REST } from '../parts'

/** What the README lists is what there is, in both languages. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Whatever the configuration reads, by its shape: a new variable cannot be forgotten here. */
const settings = read('shared/base/config.ts') + read('shared/base/people.ts')
const variables = [...settings.matchAll(/'((?:[A-Z]+_)+[A-Z]+|CALLERS)'/g)].map(([, name]) => name!)
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

test('the variables are found', () => {
  expect(variables).toEqual(
    expect.arrayContaining([
      ...['CLOUD_PAY_AUTHEN_KEY', 'DATABASE_URL', 'ORDER_LIFE_SECONDS', 'CALLERS', 'GATEWAY_LISTEN_HOST'],
      ...[
        'LATE_PAYMENT',
        'CLOSE_NOT_BEFORE',
        'REFUND_HOUR_MAX_FEN',
        'REFUND_DAY_MAX_FEN',
        'CALLER_NOTIFY_URL',
      ],
      ...['MERCHANT_KEYS', 'SESSION_KEYS', 'QUOTE_KEYS', 'PAYER_PRICES', 'ORDER_MAX_FEN'],
      ...['MERCHANT_WEBHOOK_URL', 'MERCHANT_WEBHOOK_SECRET', 'MERCHANT_WEBHOOK_ALLOW_PRIVATE'],
    ]),
  )
})

describe.each(['README.md', 'README.zh-CN.md'])('%s', (file) => {
  const text = read(file)

  test.each([...new Set(variables)])('names the variable %s', (name) => expect(text).toContain(`\`${name}\``))
  test.each(Object.keys(FAULTS))('names the code %s', (code) => expect(text).toContain(`\`${code}\``))
  test.each(ORDER_STATES)('explains the state %s', (state) => expect(text).toContain(`\`${state}\``))
  test.each(REFUND_STATES)('explains the refund state %s', (state) => expect(text).toContain(`\`${state}\``))
  test.each(ANOMALY_KINDS)('explains the anomaly %s', (kind) => expect(text).toContain(`\`${kind}\``))
  test.each(MESSAGE_TYPES)('names the message %s', (type) => expect(text).toContain(`\`${type}\``))

  test('maps every room', () => {
    const map = /```\nfunctions\/[^]*?```/.exec(text)![0]
    const rooms = readdirSync(join(root, 'shared'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    )
    for (const room of [...rooms, 'functions/', 'cli/', 'local/', 'deploy/', 'web/', 'test/'])
      expect(map).toContain(room)
  })

  test('tells no command that does not exist', () => {
    const told = [...text.matchAll(/npm run ([\w-]+)/g)].map(([, name]) => name!)
    expect(told.filter((name) => !(name in scripts))).toEqual([])
  })

  test('names every dependency of the functions', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    for (const name of [...Object.keys(dependencies), 'libsql', 'esbuild'])
      expect(text.toLowerCase()).toContain(name)
  })
})

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

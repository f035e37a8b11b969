import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** What eslint has to refuse, planted where it must not be: a rule that sees nothing would be as quiet as none. */
const root = resolve(__dirname, '../..')
const RULES = ['no-restricted-syntax', 'ours/proofs']

/** eslint loads its configuration as a module, which jest does not let it: so it runs beside. Types are left out. */
const PROGRAM = `
  import { ESLint } from 'eslint'
  const [root, rules] = ${JSON.stringify([root, RULES])}
  const eslint = new ESLint({
    cwd: root,
    overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
    ruleFilter: ({ ruleId }) => rules.includes(ruleId),
  })
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const told = []
  for (const [file, text] of JSON.parse(Buffer.concat(chunks).toString())) {
    const [result] = await eslint.lintText(text, { filePath: root + '/' + file })
    told.push(result.messages.map(({ ruleId, message, fatal }) => (fatal ? message : ruleId)))
  }
  console.log(JSON.stringify(told))`

const lintAll = (asked: [string, string][]) =>
  new Promise<string[][]>((done, fail) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM],
      { cwd: root, maxBuffer: 1 << 24 },
      (error, stdout) => (error ? fail(new Error(error.message)) : done(JSON.parse(stdout) as string[][])),
    )
    child.stdin!.end(JSON.stringify(asked))
  })

/** One file of every room that is deployed or run by whoever has the keys. */
const ROOMS = [
  ...[
    'shared/access/session.ts',
    'shared/cloudpay/signing.ts',
    'shared/payments/create.ts',
    'shared/outbox/deliver.ts',
  ],
  ...['functions/notify.ts', 'deploy/plan.ts', 'cli/doctor.ts', 'local/sandbox/envelope.ts'],
]

const GUESSED = [
  'Math.random()',
  "Math['random']()",
  'const { random } = Math',
  'const chance = Math',
  "import { pseudoRandomBytes } from 'node:crypto'",
]
const COMPARED = [
  'if (signature === expected) go()',
  'if (expected !== given.authen_code) go()',
  'if (authenCode(key, text) == code) go()',
  "if (createHmac('sha256', key).update(text).digest('hex') === given) go()",
  'if (mac.toString() === given) go()',
  'const same = claims.sessionSecret === secret',
  'if ((token as string) !== known!) go()',
  "if (headers['x-pay-signature'] === expected) go()",
  'if (Object.is(hash, other)) go()',
  'if (a.digest.equals(b)) go()',
  'if (given.equals(mac)) go()',
  'const ok = secrets.includes(secret)',
  'switch (password) { case known: go() }',
]
const FINE = [
  'if (token === undefined || secret === null) go()',
  "if (typeof signature === 'string' && mac !== '') go()",
  'if (sameText(signature, expected)) go()',
  'if (mac.length === 64) go()',
  'if (order.state === wanted.state) go()',
]
/** In shared/ alone: there clock, chance and comparison come from where they are made. */
const AMBIENT = [
  'Date.now()',
  'new Date()',
  "import { randomBytes } from 'node:crypto'",
  "import { timingSafeEqual } from 'node:crypto'",
]

/** In tests: less time than all have. */
const HURRIED = ["test('x', () => {}, 20_000)", 'beforeAll(() => {}, 500)', 'afterEach(() => {}, 119_999)']
const PATIENT = ["test('20', () => {})", "test('x', () => {}, 300_000)", 'wait(20)']

const planted: [string, string, string[]][] = [
  ...ROOMS.flatMap((file): [string, string, string[]][] => [
    ...GUESSED.map((text): [string, string, string[]] => [file, text, ['no-restricted-syntax']]),
    ...COMPARED.map((text): [string, string, string[]] => [file, text, ['ours/proofs']]),
    ...FINE.map((text): [string, string, string[]] => [file, text, []]),
  ]),
  ...AMBIENT.map((text): [string, string, string[]] => [
    'shared/payments/create.ts',
    text,
    ['no-restricted-syntax'],
  ]),
  ...[...HURRIED, ...PATIENT].map((text): [string, string, string[]] => [
    'test/unit/app.test.ts',
    text,
    HURRIED.includes(text) ? ['no-restricted-syntax'] : [],
  ]),
]

let told: string[][]
beforeAll(async () => {
  told = await lintAll(planted.map(([file, text]) => [file, text]))
})

test.each(planted.map((one, at) => [at, ...one] as const))(
  'snippet %i in %s: %s is answered %j',
  (at, _file, _text, rules) => {
    expect([...new Set(told[at])]).toEqual(rules)
  },
)

test('no line of what is deployed or run with keys switches these rules off', () => {
  const files = ['shared', 'functions', 'deploy', 'cli', 'local'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file)),
  )
  const off = files.filter((file) =>
    /eslint-disable\S* (.*(no-restricted-syntax|ours\/)|--|$)/m.test(readFileSync(join(root, file), 'utf8')),
  )
  expect(off).toEqual([])
})

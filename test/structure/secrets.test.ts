import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bundle } from '../../deploy/bundle'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { SANDBOX_SECRET } from '../../shared/base/people'
import { projectFiles } from '../../local/docs/pages'

/** No key of anybody's in the repository or in what is deployed. What looks like one is named here, with the reason. */
const root = resolve(__dirname, '../..')

/** Words nobody has for a key are left out: passwords that say so, Tencent's published EXAMPLE, a row of one letter. */
const SHAPES: Record<string, RegExp> = {
  'a Tencent Cloud key id': /\b(AKID|IKID)(?!\w*EXAMPLE\b)[0-9A-Za-z]{28,40}\b/g,
  'a private key': /-----BEGIN [A-Z ]*PRIVATE KEY-----/g,
  'a private key without its frame': /\bMII[BCEJ][0-9A-Za-z+/]{200,}/g,
  'a webhook secret': /\bwhsec_(?!(.)\1+\b)[0-9A-Za-z+/]{32,}={0,2}/g,
  'a long hex number called key or secret':
    /(?:key|secret|token|password|passwd)["'`\]]*\s*[:=,(]\s*["'`]?[0-9a-f]{32,64}\b/gi,
  'a database URL with a password':
    /\b(?:mysql|postgres(?:ql)?):\/\/[^\s:/'"`$]+:(?![^@]*(?:password|secret|hunter))[^\s@/'"`$<]{8,}@/g,
  'a token of a code host or registry':
    /\b(?:gh[opsu]_[0-9A-Za-z]{36}|npm_[0-9A-Za-z]{36}|glpat-[\w-]{20}|AKIA[0-9A-Z]{16})\b/g,
  'a signed token': /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/g,
}

/** `file: shape`, and why it is no secret. An entry that is not needed any more is a fault too. */
const ALLOWED: Record<string, string> = {
  'test/fixtures/vectors.json: a long hex number called key or secret':
    'printed in the documents of WeChat Pay, as the example of a signature',
  'test/unit/cli/explain.test.ts: a long hex number called key or secret':
    'the beginning of a hash everybody knows, that of the word test',
}

type Found = { file: string; shape: string; line: number }

function scan(file: string, text: string): Found[] {
  return Object.entries(SHAPES).flatMap(([shape, pattern]) =>
    [...text.matchAll(pattern)].map(({ index }) => ({
      file,
      shape,
      line: text.slice(0, index).split('\n').length,
    })),
  )
}

const tell = ({ file, shape }: Found) => `${file}: ${shape}`

const files = projectFiles(root)
const found = files.flatMap((file) => {
  try {
    return scan(file, readFileSync(join(root, file), 'utf8'))
  } catch (error) {
    // Removed, and not committed yet.
    if ((error as { code?: string }).code === 'ENOENT') return []
    throw error
  }
})

test('the whole repository is looked at', () => {
  expect(files.length).toBeGreaterThan(300)
  expect(files).toEqual(expect.arrayContaining(['README.md', 'package-lock.json', 'deploy/stages/prod.yml']))
})

test('nothing in it looks like a key, but for what is named with a reason', () => {
  expect(
    found.filter((one) => !(tell(one) in ALLOWED)).map((one) => `${tell(one)}, line ${one.line}`),
  ).toEqual([])
})

test('nothing is allowed that is not there any more', () => {
  const there = new Set(found.map(tell))
  expect(Object.keys(ALLOWED).filter((one) => !there.has(one))).toEqual([])
})

// Put together here, so that this file holds none.
const letters = (count: number) => 'Ab3dEf7hIj1lMn5pQr9tUv2xYz4'.repeat(10).slice(0, count)
const hex = (count: number) => '3f9a0c7be1d24586'.repeat(10).slice(0, count)
test.each([
  ['a Tencent Cloud key id', `SecretId: AKID${letters(32)}`],
  ['a private key', `-----BEGIN ${'RSA '}PRIVATE KEY-----\n${letters(64)}`],
  ['a private key', `-----BEGIN ${''}PRIVATE KEY-----\n${letters(64)}`],
  ['a private key without its frame', `"secret":"MIIE${letters(250)}"`],
  ['a webhook secret', `MERCHANT_WEBHOOK_SECRET=whsec_${letters(32)}`],
  ['a long hex number called key or secret', `CLOUD_PAY_AUTHEN_KEY: ${hex(32)}`],
  ['a long hex number called key or secret', `const appSecret = '${hex(32)}'`],
  ['a long hex number called key or secret', `{"secret": "${hex(32)}"}`],
  ['a database URL with a password', `DATABASE_URL=mysql://root:${letters(12)}@10.0.0.5/orders`],
  ['a token of a code host or registry', `token: ghp_${letters(36)}`],
  ['a signed token', `eyJ${letters(20)}.eyJ${letters(40)}.${letters(43)}`],
])('planted, %s is found', (shape, text) => {
  expect(scan('planted', `first line\n${text}\n`)).toEqual([{ file: 'planted', shape, line: 2 }])
})

describe('what is deployed', () => {
  const outdir = join(root, '.build', `test-secrets-${process.pid}`)
  const bundles: Record<string, string> = {}
  beforeAll(async () => {
    await bundle({ drivers: ['mysql', 'postgres'], outdir })
    for (const file of readdirSync(outdir).filter((name) => name.endsWith('.js')))
      bundles[file] = readFileSync(join(outdir, file), 'utf8')
    rmSync(outdir, { recursive: true })
  })

  test('holds nothing that looks like a key', () => {
    expect(Object.keys(bundles).length).toBeGreaterThanOrEqual(8)
    for (const [file, text] of Object.entries(bundles)) expect([file, scan(file, text)]).toEqual([file, []])
  })

  test('knows of the sandbox’s published values only what it refuses: key and prefix, each once', () => {
    const times = (text: string, part: string) => text.split(part).length - 1
    for (const [file, text] of Object.entries(bundles)) {
      const known = file === 'migrate.js' ? 0 : 1
      expect([file, times(text, SANDBOX_MERCHANT.authen_key)]).toEqual([file, known])
      expect([file, times(text, SANDBOX_SECRET)]).toEqual([file, known])
      // Whole secrets of the sandbox, its payers and its apps are not needed to refuse them.
      expect([
        file,
        times(text, `${SANDBOX_SECRET}server`),
        times(text, 'oSandbox'),
        times(text, 'wxsandbox'),
      ]).toEqual([file, 0, 0, 0])
    }
  })
})

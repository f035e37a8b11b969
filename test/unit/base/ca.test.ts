import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigurationFault, readConfig, readDatabase } from '../../../shared/base/config'
import { makeCertificates } from '../../support/certificates'
import { testEnv } from '../../support/world'

let dir: string
let pem: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ca-'))
  pem = readFileSync(makeCertificates(dir).caFile, 'utf8')
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const URL = 'mysql://payer:secret@db.example.com/orders'
const HTTPS = 'https://pay.example.com/cpay/'
const faultsOf = (work: () => unknown): readonly string[] => {
  try {
    work()
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationFault)) throw error
    return error.faults
  }
}

test('text in a variable is taken as it is, with line breaks written out, and with several certificates', () => {
  for (const DATABASE_CA of [pem, pem.replaceAll('\n', '\\n'), `${pem}\n${pem}`]) {
    const { ca } = readDatabase({ DATABASE_URL: `${URL}?tls=verify`, DATABASE_CA })
    expect(ca).toBe(DATABASE_CA.replaceAll('\\n', '\n'))
  }
  const { cloudPay } = readConfig({
    ...testEnv,
    CALLERS: 'own',
    CLOUD_PAY_BASE_URL: HTTPS,
    ...own,
    CLOUD_PAY_CA: pem,
  })
  expect(cloudPay).toMatchObject({ ca: pem, caFile: undefined })
})
/** Nothing of the sandbox's is worth anything elsewhere. */
const own = { CLOUD_PAY_AUTHEN_KEY: 'a-key-of-our-own', DATA_KEYS: '' }

test.each([
  ['no certificate', () => 'trust me'],
  ['a private key beside it', () => `${pem}\n${pem.replaceAll('CERTIFICATE', 'PRIVATE KEY')}`],
  ['one that has lost a line', () => pem.replace(/[0-9A-Za-z+/]{40}\r?\n/, '\n')],
  ['the path of a file', () => '/opt/ca.pem'],
])('%s is refused by name, and not repeated', (_what, text) => {
  const DATABASE_URL = `${URL}?tls=verify`
  expect(faultsOf(() => readDatabase({ DATABASE_URL, DATABASE_CA: text() }))).toEqual([
    'DATABASE_CA must be certificates in PEM, and nothing else',
  ])
})

test.each([
  ['DATABASE_CA without TLS', { DATABASE_URL: URL }, /^DATABASE_CA does nothing without tls=verify/],
  [
    'DATABASE_CA with SQLite',
    { DATABASE_URL: 'sqlite:x.db' },
    /^DATABASE_CA does nothing without tls=verify/,
  ],
  ['two CAs', { DATABASE_URL: `${URL}?tls=verify&ca=/x.pem` }, /^DATABASE_CA and the ca of DATABASE_URL/],
])('a setting that does nothing is refused: %s', (_what, env, fault) => {
  expect(faultsOf(() => readDatabase({ ...env, DATABASE_CA: pem }))).toEqual([expect.stringMatching(fault)])
})

test('so is a ca in a URL without TLS, and one for a far end that is not spoken to over TLS', () => {
  expect(faultsOf(() => readDatabase({ DATABASE_URL: `${URL}?ca=/x.pem` }))).toEqual([
    'DATABASE_URL has a ca, which does nothing with tls=off',
  ])
  expect(faultsOf(() => readConfig({ ...testEnv, CLOUD_PAY_CA: pem }))).toEqual([
    'CLOUD_PAY_CA does nothing for a CLOUD_PAY_BASE_URL of http://',
  ])
  const both = {
    ...testEnv,
    ...own,
    CALLERS: 'own',
    CLOUD_PAY_BASE_URL: HTTPS,
    CLOUD_PAY_CA: pem,
    CLOUD_PAY_CA_FILE: 'x',
  }
  expect(faultsOf(() => readConfig(both))).toEqual([
    expect.stringMatching(/^CLOUD_PAY_CA and CLOUD_PAY_CA_FILE/),
  ])
})

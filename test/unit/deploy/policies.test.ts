import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../../../deploy/bundle'
import { ACTIONS } from '../../../deploy/controlPlane'

/**
 * What each role may do is what the code asks for, and no more: a call that is added without its permission would fail
 * at somebody's first deploy, and a permission nobody uses is a door left open.
 */
type Policy = { version: string; statement: { effect: string; action: string[]; resource: string[] }[] }

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const policy = (name: string) => JSON.parse(read(`deploy/policies/${name}.json`)) as Policy
const actionsOf = ({ statement }: Policy) => statement.flatMap(({ action }) => action).sort()
const sourcesOf = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file, text: read(join(folder, file)) }))

/** In CAM the API's Invoke has another name. */
const camName = (action: string) => `scf:${action === 'Invoke' ? 'InvokeFunction' : action}`

/** These know no single resource: CAM lets nobody use them who is given less than all. */
const OF_NO_RESOURCE = [
  'scf:CreateTrigger',
  'scf:InvokeFunction',
  'scf:ListCustomDomains',
  'scf:ListFunctions',
]

const files = readdirSync(join(ROOT, 'deploy/policies')).map((file) => file.replace(/\.json$/, ''))

test.each(files)('%s allows single actions, each on what is ours alone', (file) => {
  const { version, statement } = policy(file)
  expect(version).toBe('2.0')
  for (const { effect, action, resource } of statement) {
    expect(effect).toBe('allow')
    for (const one of action) expect(one).toMatch(/^[a-z]+:[A-Z]\w+$/)
    if (resource.includes('*')) expect(action.filter((one) => !OF_NO_RESOURCE.includes(one))).toEqual([])
    else for (const one of resource) expect(one).toMatch(/^qcs::[a-z]+:(\$\{region\})?:uin\/\$\{uin\}:/)
  }
  expect(new Set(actionsOf(policy(file))).size).toBe(actionsOf(policy(file)).length)
})

test('what a deployer may do is what deploy/ calls', () => {
  // Some calls choose between two actions, so any action that is named outside the list of all counts as called.
  const called = sourcesOf('deploy').flatMap(({ file, text }) => [
    ...(file === 'controlPlane.ts' ? [] : ACTIONS.filter((one) => text.includes(`'${one}'`)).map(camName)),
    ...(/service: 'cls'/.test(text)
      ? [...text.matchAll(/'(SearchLog)'/g)].map(([, one]) => `cls:${one!}`)
      : []),
  ])
  const unlisted = sourcesOf('deploy').flatMap(({ text }) =>
    [...text.matchAll(/\bcall\(\s*'(\w+)'/g)].map(([, action]) => action!),
  )
  expect(unlisted.filter((action) => !(ACTIONS as readonly string[]).includes(action))).toEqual([])
  expect(called).toContain('scf:CreateFunction')
  // With a role in serverless.yml, creating and changing a function hands that role over.
  expect(actionsOf(policy('deployer'))).toEqual([...new Set([...called, 'cam:PassRole'])].sort())
  const scf = actionsOf(policy('deployer')).filter((one) => one.startsWith('scf:'))
  expect(scf).toEqual(ACTIONS.map(camName).sort())
})

test('a signed call to any other service of the cloud is not made', () => {
  const services = ['deploy', 'shared', 'functions', 'cli']
    .flatMap(sourcesOf)
    .flatMap(({ text }) => [...text.matchAll(/service: '(\w+)', version: '\d/g)].map(([, name]) => name!))
  expect([...new Set(services)].sort()).toEqual(['cls', 'ssm'])
})

test('what a function may do is what shared/ calls: reading secrets', () => {
  const called = sourcesOf('shared').flatMap(({ text }) =>
    [...text.matchAll(/callTencent\([^']*'(\w+)'/g)].map(([, action]) => `ssm:${action!}`),
  )
  expect(called).toEqual(['ssm:GetSecretValue'])
  for (const name of ['functions', 'migrate']) expect(actionsOf(policy(name))).toEqual(called)
})

test('the function for migrations may read the two secrets it needs', () => {
  const [statement] = policy('migrate').statement
  expect(statement!.resource).toEqual([
    expect.stringMatching(/\/cloud-pay-\$\{stage\}-database-url$/),
    expect.stringMatching(/\/cloud-pay-\$\{stage\}-database-ca$/),
  ])
  expect(read('functions/migrate.ts')).toContain("withSecrets(process.env, ['DATABASE_URL', 'DATABASE_CA'])")
})

test.each(['dev', 'prod'])(
  'the secrets and roles that the stage %s names are those the policies allow',
  (stage) => {
    const text = read(`deploy/stages/${stage}.yml`)
    const secrets = [...text.matchAll(/ssm:([\w-]+)/g)]
      .map(([, name]) => name!)
      .filter((name) => name !== 'NAME')
    expect(secrets.length).toBeGreaterThan(0)
    for (const name of secrets) expect(name).toMatch(new RegExp(`^cloud-pay-${stage}-`))
    expect(secrets).toContain(`cloud-pay-${stage}-database-url`)
    const roles = [...text.matchAll(/^# role: ([\w-]+)/gm)].map(([, name]) => name!)
    for (const name of roles) expect(name).toMatch(new RegExp(`^cloud-pay-${stage}`))
  },
)

test('the names in the policies are those of serverless.yml', () => {
  const yml = parse(read('serverless.yml')) as { service: string; provider: { namespace?: string } }
  const [first] = policy('deployer').statement
  const namespace = yml.provider.namespace ?? 'default'
  expect(first!.resource).toEqual([
    `qcs::scf:\${region}:uin/\${uin}:namespace/${namespace}/function/${yml.service}-\${stage}-*`,
  ])
})

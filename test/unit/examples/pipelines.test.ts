import { readFileSync } from 'node:fs'
import { Script } from 'node:vm'
import { join } from 'node:path'
import { build } from 'esbuild'
import { parse } from 'yaml'
import { ROOT } from '../../../deploy/bundle'

/** The pipelines that users copy: the GitHub one is read by GitHub's own parser, and both by what there is to run. */
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const github = read('examples/pipelines/github.yml')
const coding = read('examples/pipelines/coding.Jenkinsfile')
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** The parser is an ES module that imports JSON without saying so, which only a bundler understands. */
async function loadParser(): Promise<(text: string) => string[]> {
  const contents = `
    import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser'
    export default (text) =>
      parseWorkflow({ name: 'sls.yml', content: text }, new NoOperationTraceWriter())
        .context.errors.getErrors().map((error) => error.message)`
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'iife',
    globalName: 'parser',
    logLevel: 'silent',
  })
  const code = `(require) => { ${outputFiles[0]!.text}; return parser.default }`
  const make = new Script(code).runInThisContext() as (r: NodeJS.Require) => (text: string) => string[]
  return make(require)
}

describe('the GitHub workflow', () => {
  let faultsOf: (text: string) => string[]
  beforeAll(async () => {
    faultsOf = await loadParser()
  })

  test("is one to GitHub's own parser", () => {
    expect(faultsOf(github)).toEqual([])
  })

  test.each([
    ['a key that does not exist', 'runs-on:', 'run-on:'],
    ['an expression of a name that does not exist', 'secrets.TENCENTCLOUD', 'secret.TENCENTCLOUD'],
    ['an event that does not exist', 'pull_request:', 'pull_requests:'],
    ['a number that is none', 'timeout-minutes: 20', 'timeout-minutes: long'],
  ])('with %s would not be', (_what, from, to) => {
    expect(github).toContain(from)
    expect(faultsOf(github.replaceAll(from, to))).not.toEqual([])
  })

  test('packages on a pull request, deploys on a tag, and lets nobody in but to read', () => {
    const workflow = parse(github) as {
      on: object
      permissions: object
      jobs: Record<string, { if: string; env?: object; steps: { run?: string; env?: object }[] }>
    }
    expect(workflow.on).toEqual({ pull_request: null, push: { tags: ['v*'] } })
    expect(workflow.permissions).toEqual({ contents: 'read' })
    const { package: packaging, deploy } = workflow.jobs
    const runs = (job: typeof deploy) => job!.steps.flatMap(({ run }) => run ?? [])
    expect(packaging!.if).toBe("github.event_name == 'pull_request'")
    expect(runs(packaging)).toContain('npx --no-install sls package --stage prod')
    // What comes from a stranger's fork sees no secret.
    expect(JSON.stringify(packaging)).not.toContain('secrets.')
    expect(deploy!.if).toBe("github.event_name == 'push'")
    expect(runs(deploy)).toContain('npx --no-install sls deploy --stage prod --migrate')
    // The deployer's key is in the steps that deploy, and neither in the job nor where packages are installed.
    expect(JSON.stringify(deploy!.env)).not.toContain('secrets.')
    for (const { run, env } of deploy!.steps)
      expect([run, JSON.stringify(env ?? {}).includes('secrets.')]).toEqual([run, /\bsls /.test(run ?? '')])
  })

  test('hands over every variable that the stage prod takes from whoever deploys, but for what may be left out', () => {
    const taken = [...read('deploy/stages/prod.yml').matchAll(/\$\{env:(\w+), null\}/g)].map(
      ([, name]) => name!,
    )
    const optional = [
      ...['NAME', 'CALLERS', 'CLOUD_PAY_BASE_URL', 'MERCHANT_WEBHOOK_URL', 'MERCHANT_WEBHOOK_SECRET'],
      ...['CLOUD_PAY_APPS', 'PAYER_PRICES', 'QUOTE_KEYS', 'DEPLOYMENT_NAME'],
    ]
    const needed = taken.filter((name) => !optional.includes(name))
    expect(needed).toContain('CLOUD_PAY_OUT_MCH_ID')
    for (const name of needed) for (const text of [github, coding]) expect(text).toContain(name)
  })
})

test.each([
  ['github.yml', github],
  ['coding.Jenkinsfile', coding],
])('%s runs nothing that does not exist', (_name, text) => {
  for (const [, name] of text.matchAll(/npm run ([\w-]+)/g)) expect(Object.keys(scripts)).toContain(name)
  const commands = [...text.matchAll(/npx --no-install sls ([^'\n]+)/g)].map(([, line]) => line!)
  expect(commands.length).toBeGreaterThan(2)
  const known = read('deploy/plugin.ts')
  for (const line of commands) {
    const [command, ...rest] = line.split(' ')
    expect(['package', 'deploy', 'info']).toContain(command)
    const flags = rest.filter((word) => word.startsWith('--') && word !== '--stage')
    for (const flag of flags) expect(known).toMatch(new RegExp(`\\b'?${flag.slice(2)}'?\\b`))
  }
})

test('the Jenkinsfile is balanced, and has the tag decide over the deployment', () => {
  const code = coding.replace(/^\s*\/\/.*$/gm, '').replace(/'[^']*'/g, "''")
  for (const [open, close] of ['{}', '()', '[]'].map((pair) => [...pair]) as [string, string][])
    expect(code.split(open).length).toBe(code.split(close).length)
  const [, deploy = ''] = coding.split("stage('Deploy')")
  expect(deploy.indexOf('git describe --exact-match --tags')).toBeLessThan(deploy.indexOf('sls deploy'))
  expect(deploy).toContain('when {')
})

import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import Ajv2020 from 'ajv/dist/2020'
import { describeApi, type ApiDocument } from '../../local/openapi/document'
import { FAULT_HELP, MEMBERS, RETRIES, type Text } from '../../local/openapi/faults'
import { CODES_OF_NO_OPERATION, codesOf, OPERATIONS, TAGS } from '../../local/openapi/operations'
import { ANSWERS_AS_DESCRIBED } from '../../local/openapi/schemas'
import { readRoutes } from '../../local/routes'
import { FAULTS, type FaultCode } from '../../shared/base/errors'

/** The interface is described once, and everything that tells of it tells the same. */
const root = resolve(__dirname, '../..')
const routes = readRoutes(root)
const document = describeApi(routes, 'https://pay.example.com')
const codes = Object.keys(FAULTS) as FaultCode[]
const names = Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]

test('every route of serverless.yml is an operation, and every operation has a route', () => {
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  expect(described.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort())
  const one = { functionName: 'board', method: 'GET', path: '/board/none' }
  expect(() => describeApi([...routes, one], 'https://x')).toThrow(
    'GET /board/none is served and not described: give it a row in local/openapi/operations.ts',
  )
  expect(() => describeApi(routes.slice(1), 'https://x')).toThrow('served nowhere: POST /orders')
})

test('every code has its cause and cure, and no others have', () => {
  expect(Object.keys(FAULT_HELP).sort()).toEqual([...codes].sort())
})

test('every code is some operation’s, or named as nobody’s', () => {
  const answered = new Set([...names.flatMap(codesOf), ...CODES_OF_NO_OPERATION])
  expect(codes.filter((code) => !answered.has(code))).toEqual([])
  expect(CODES_OF_NO_OPERATION.filter((code) => names.some((name) => codesOf(name).includes(code)))).toEqual(
    [],
  )
})

test('types of the answers and their schemas were compared by the compiler', () => {
  expect(Object.values(ANSWERS_AS_DESCRIBED)).not.toContain(false)
})

const texts: [string, Text][] = [
  ...codes.flatMap((code): [string, Text][] => [
    [`${code}: message`, FAULTS[code]],
    [`${code}: cause`, FAULT_HELP[code].cause],
    [`${code}: cure`, FAULT_HELP[code].cure],
  ]),
  ...names.flatMap((name): [string, Text][] => [
    [`${name}: summary`, OPERATIONS[name].summary],
    [`${name}: description`, OPERATIONS[name].description],
    ...Object.entries(OPERATIONS[name].answers).map(([status, { when }]): [string, Text] => [
      `${name} ${status}`,
      when,
    ]),
  ]),
  ...Object.entries({ ...TAGS, ...MEMBERS, ...RETRIES }),
]

test('everything is told in Chinese and in English', () => {
  const short = texts.filter(
    ([, { zh, en }]) => !/\p{Script=Han}/u.test(zh) || !/^[\x20-\x7e]*[a-z][\x20-\x7e]*$/i.test(en),
  )
  expect(short).toEqual([])
})

describe('the document', () => {
  test('is OpenAPI 3.1, says the validator of the specification', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'openapi-')), 'openapi.json')
    const validate = async (what: unknown) => {
      writeFileSync(file, JSON.stringify(what))
      const bin = join(root, 'node_modules', '.bin', 'validate-api')
      const { stdout } = await promisify(execFile)(bin, [file]).catch((error: { stdout: string }) => error)
      return (JSON.parse(stdout) as { valid: boolean }).valid
    }
    expect(await validate(document)).toBe(true)
    // It can say no: a response without a description, a reference to nothing.
    const broken = structuredClone(document)
    delete (broken.paths['/orders']!['post']!.responses['201'] as { description?: string }).description
    expect(await validate(broken)).toBe(false)
    const astray = JSON.parse(
      JSON.stringify(document).replaceAll('schemas/Moment"', 'schemas/Momentum"'),
    ) as unknown
    expect(await validate(astray)).toBe(false)
  })

  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ name: `${method} ${path}`, path, described })),
  )
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+)\/([\w-]+)"/g)]

  test('uses everything it defines', () => {
    const used = new Set(refs.map(([, kind, name]) => `${kind}/${name}`))
    const defined = (['schemas', 'headers', 'examples'] as const).flatMap((kind) =>
      Object.keys(document.components[kind]).map((name) => `${kind}/${name}`),
    )
    const unused = CODES_OF_NO_OPERATION.concat('notification_refused').map((code) => `examples/${code}`)
    expect(defined.filter((one) => !used.has(one)).sort()).toEqual(unused.sort())
  })

  test.each(operations)('$name declares its path, its tag and who may call', ({ path, described }) => {
    const inPath = described.parameters.filter((one) => one.in === 'path').map(({ name }) => name)
    expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
    expect(Object.keys(TAGS)).toEqual(expect.arrayContaining(described.tags))
    const schemes = described.security.flatMap((one) => Object.keys(one))
    expect(Object.keys(document.components.securitySchemes)).toEqual(expect.arrayContaining(schemes))
  })

  test.each(operations)('$name gives examples that are what it says', ({ described }) => {
    const contents = [
      described.requestBody?.content,
      ...Object.values(described.responses).map((one) => one.content),
    ]
    const checked = contents
      .flatMap((content) => Object.values(content ?? {}))
      .flatMap(({ schema, examples }) => {
        const validate = compile(document, schema)
        return Object.entries(examples).map(([name, example]) => {
          const { value } =
            '$ref' in example ? document.components.examples[example.$ref.split('/').pop()!]! : example
          return validate(value) ? 'fits' : [name, validate.errors]
        })
      })
    expect(new Set(checked)).toEqual(new Set(['fits']))
  })
})

function compile({ components }: ApiDocument, schema: object) {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
  ajv.addKeyword('components')
  return ajv.compile({ ...schema, components: { schemas: components.schemas } })
}

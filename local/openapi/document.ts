import { DOORS } from '../../shared/access/doors'
import { SESSION_SECRET_HEADER } from '../../shared/access/closed'
import { SIGNED_HEADERS } from '../../shared/access/signed'
import { Fault, FAULTS, type FaultCode } from '../../shared/base/errors'
import { flaw, REQUIRED } from '../../shared/base/validate'
import { problem } from '../../shared/http/answer'
import type { ServedRoute } from '../routes'
import { FAULT_CODES, FAULT_HELP, MEMBERS, type Member, type Text } from './faults'
import { jsonSchemas, type Schema } from './jsonSchema'
import { codesOf, OPERATIONS, TAGS, type Operation } from './operations'
import { SCHEMAS, type SchemaName } from './schemas'

type Example = { value: unknown } | { $ref: string }
type Content = Record<string, { schema: Schema; examples: Record<string, Example> }>
type Answer = { description: string; headers: Record<string, { $ref: string }>; content: Content }
export type Parameter = { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: Schema }
export type Described = {
  operationId: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters: Parameter[]
  requestBody?: { required: boolean; content: Content }
  responses: Record<string, Answer>
  [member: string]: unknown
}
/** An OpenAPI 3.1 document, as far as this project writes one. */
export type ApiDocument = {
  openapi: string
  paths: Record<string, Record<string, Described>>
  components: {
    schemas: Record<string, Schema>
    examples: Record<string, { value: unknown }>
    headers: Record<string, { required?: boolean; schema: Schema }>
    securitySchemes: Record<string, object>
  }
  [member: string]: unknown
}

const both = ({ zh, en }: Text): string => `${zh} / ${en}`
const paragraphs = ({ zh, en }: Text): string => `${zh}\n\n${en}`
const refTo = (name: SchemaName): Schema => ({ $ref: `#/components/schemas/${name}` })

/**
 * Describes the routes of serverless.yml. `server` is where they answer, such as `https://pay.example.com`. Throws when a
 * route has no description, a description no route, or a code no cause and cure.
 */
export function describeApi(routes: readonly ServedRoute[], server: string): ApiDocument {
  const served = routes.map(({ method, path }) => `${method} ${path}`)
  for (const name of served) {
    if (!(name in OPERATIONS))
      throw new Error(`${name} is served and not described: give it a row in local/openapi/operations.ts`)
  }
  const unexplained = FAULT_CODES.filter((code) => !(code in FAULT_HELP))
  if (unexplained.length > 0)
    throw new Error(
      `no cause and cure for ${unexplained.join(', ')}: give each a row in local/openapi/faults.ts`,
    )
  const names = Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]
  const lost = names.filter((name) => !served.includes(name))
  if (lost.length > 0)
    throw new Error(`described, and served nowhere: ${lost.join(', ')}; see serverless.yml`)

  const paths: ApiDocument['paths'] = {}
  for (const name of names) {
    const [method, path] = name.split(' ') as [string, string]
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name, path) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: '云支付后端 / Cloud Pay on SCF',
      version: '1',
      license: { name: 'MIT', identifier: 'MIT' },
      description: paragraphs({
        zh: '金额一律为整数分。回答可能增加新的成员，请忽略不认识的成员；请求中的未知字段会被拒绝。文本不得含 U+0000 或半个代理对。错误码见 /errors。',
        en: 'Money is integer fen. Answers may gain members: ignore what you do not know; unknown fields of requests are refused. Texts must hold neither U+0000 nor half of a surrogate pair. Error codes: /errors.',
      }),
    },
    servers: [{ url: server }],
    tags: Object.entries(TAGS).map(([name, text]) => ({ name, description: both(text) })),
    paths,
    components: {
      schemas: { ...jsonSchemas(SCHEMAS), ...PROBLEM_PARTS },
      examples: Object.fromEntries(FAULT_CODES.map((code) => [code, { value: exampleOf(code) }])),
      headers: HEADERS,
      securitySchemes: SECURITY,
    },
  }
}

// ── who may call ───────────────────────────────────────────────────────────────────────────────────────────────

const headerKey = (name: string, text: Text) => ({
  type: 'apiKey',
  in: 'header',
  name,
  description: both(text),
})

const SECURITY = {
  payerToken: {
    type: 'http',
    scheme: 'bearer',
    description: both({ zh: '登录得到的令牌', en: 'the token of a login' }),
  },
  payerSecret: headerKey(SESSION_SECRET_HEADER, {
    zh: '登录时客户端生成的 secret',
    en: 'the secret that the client made',
  }),
  merchantKey: headerKey(SIGNED_HEADERS.key, { zh: '密钥名', en: "the key's name" }),
  merchantTimestamp: headerKey(SIGNED_HEADERS.timestamp, {
    zh: 'UTC 秒，误差不超过 300 秒',
    en: 'seconds, UTC, within 300 s',
  }),
  merchantNonce: headerKey(SIGNED_HEADERS.nonce, {
    zh: '16 至 64 个字母、数字、- 或 _，只用一次',
    en: '16 to 64 letters, digits, - and _, used once',
  }),
  merchantSignature: headerKey(SIGNED_HEADERS.signature, {
    zh: 'v1= 加 HMAC-SHA256 的小写十六进制；待签名文本见 shared/access/signed.ts',
    en: 'v1= and the HMAC-SHA256 in lower-case hex; over which lines: shared/access/signed.ts',
  }),
}

function security(name: keyof typeof DOORS): Described['security'] {
  const door = DOORS[name]
  if (door === 'anyone') return []
  const { payer, merchant } = door
  // OpenAPI 3.1 lets a key name the roles it needs: here the scope.
  const signed = {
    merchantKey: [merchant],
    merchantTimestamp: [],
    merchantNonce: [],
    merchantSignature: [],
  }
  return payer ? [{ payerToken: [], payerSecret: [] }, signed] : [signed]
}

// ── one operation ──────────────────────────────────────────────────────────────────────────────────────────────

function operation(name: keyof typeof OPERATIONS, path: string): Described {
  const { id, tag, summary, description, body, answers, speaksCloudPay } = OPERATIONS[name]
  return {
    operationId: id,
    tags: [tag],
    summary: both(summary),
    description: paragraphs(description),
    security: security(name),
    parameters: parameters(OPERATIONS[name], path),
    ...(body ? { requestBody: requestBody(body) } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { when, schema, example }]) => [
          status,
          {
            description: both(when),
            headers: headerRefs([]),
            content: {
              'application/json': { schema: refTo(schema), examples: { example: { value: example } } },
            },
          },
        ]),
      ),
      ...(speaksCloudPay ? {} : problems(codesOf(name))),
    },
  }
}

function parameters({ query = {}, idempotencyKey }: Operation, path: string): Parameter[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: 'path' as const,
    required: true,
    schema: { type: 'string', minLength: 1 },
  }))
  const inQuery = Object.entries(query).map(([name, { zh, en, schema }]) => ({
    name,
    in: 'query' as const,
    required: false,
    description: both({ zh, en }),
    schema,
  }))
  const inHeader = {
    name: 'Idempotency-Key',
    in: 'header' as const,
    required: false,
    description: both({
      zh: '同一个键就是同一个请求，按调用方区分',
      en: 'the same key is the same request, per caller',
    }),
    schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
  }
  return [...inPath, ...inQuery, ...(idempotencyKey ? [inHeader] : [])]
}

function requestBody({ schemas, required, examples }: NonNullable<Operation['body']>) {
  const schema = schemas.length === 1 ? refTo(schemas[0]!) : { anyOf: schemas.map(refTo) }
  const named = Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]))
  return { required, content: { 'application/json': { schema, examples: named } } }
}

// ── headers and problems ───────────────────────────────────────────────────────────────────────────────────────

const HEADERS = {
  'x-request-id': {
    required: true,
    description: both({ zh: '日志里查找用', en: 'to find it in the log' }),
    schema: { type: 'string' },
  },
  'cache-control': { required: true, schema: { type: 'string', const: 'no-store' } },
  'x-content-type-options': { required: true, schema: { type: 'string', const: 'nosniff' } },
  'retry-after': {
    description: both({ zh: '秒', en: 'seconds' }),
    schema: { type: 'string', pattern: '^[1-9][0-9]*$' },
  },
}

function headerRefs(codes: readonly FaultCode[]): Answer['headers'] {
  const waits = codes.some((code) => FAULT_HELP[code].retry === 'wait')
  const names = Object.keys(HEADERS).filter((name) => name !== 'retry-after' || waits)
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

const MEMBER_SCHEMAS: Record<Member, Schema> = {
  fields: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      properties: {
        field: { type: 'string', description: both({ zh: '路径，以点分隔', en: 'path, with dots' }) },
        code: { type: 'string' },
        message: { type: 'string', description: both({ zh: '英文', en: 'in English' }) },
        message_zh: { type: 'string', description: both({ zh: '中文', en: 'in Chinese' }) },
      },
      required: ['field', 'code', 'message', 'message_zh'],
    },
  },
  out_trade_no: { type: 'string' },
  out_refund_no: { type: 'string' },
  read: { type: 'string' },
  state: { type: 'string' },
  left_fee: { type: 'integer', minimum: 0 },
  cloud_pay_status: { type: 'integer' },
  quantity_max: { type: 'integer', minimum: 1 },
}
const MEMBER_EXAMPLES: Record<Exclude<Member, 'fields'>, string | number> = {
  out_trade_no: 'sb01k3v9x2m1q7d4f8',
  out_refund_no: 'sb01refund1',
  read: '/orders/sb01k3v9x2m1q7d4f8?refresh=1',
  state: 'paid',
  left_fee: 1380,
  cloud_pay_status: 102,
  quantity_max: 5,
}

const PROBLEM_PARTS: Record<string, Schema> = {
  Sentences: {
    type: 'object',
    properties: { zh: { type: 'string' }, en: { type: 'string' } },
    required: ['zh', 'en'],
  },
  FieldFaults: MEMBER_SCHEMAS.fields,
}

/** RFC 9457, one answer per status. What a code may carry beside the common members, it alone may carry. */
function problems(codes: readonly FaultCode[]): Record<string, Answer> {
  const byStatus = groupBy(codes, (code) => String(FAULTS[code].status))
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => {
      const schemas = [...groupBy(those, (code) => FAULT_HELP[code].members.join()).values()].map(
        problemSchema,
      )
      const answer = {
        description: those.map((code) => `${code}: ${both(FAULTS[code])}`).join('\n\n'),
        headers: headerRefs(those),
        content: {
          'application/problem+json': {
            schema: schemas.length === 1 ? schemas[0]! : { anyOf: schemas },
            examples: Object.fromEntries(
              those.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      }
      return [status, answer]
    }),
  )
}

/** For codes that carry the same members. */
function problemSchema(codes: readonly FaultCode[]): Schema {
  const { members } = FAULT_HELP[codes[0]!]
  return {
    type: 'object',
    properties: {
      type: { type: 'string', const: 'about:blank' },
      title: { type: 'string', description: both({ zh: '同 code', en: 'as code' }) },
      status: { type: 'integer', const: FAULTS[codes[0]!].status },
      code: { type: 'string', enum: [...codes] },
      detail: { $ref: '#/components/schemas/Sentences' },
      request_id: { type: 'string' },
      ...Object.fromEntries(
        members.map((member) => [
          member,
          member === 'fields'
            ? { $ref: '#/components/schemas/FieldFaults' }
            : { ...MEMBER_SCHEMAS[member], description: both(MEMBERS[member]) },
        ]),
      ),
    },
    required: ['type', 'title', 'status', 'code', 'detail', 'request_id'],
  }
}

/** As the functions put it. */
function exampleOf(code: FaultCode): unknown {
  const { members } = FAULT_HELP[code]
  const extra = Object.fromEntries(
    members.flatMap((member) => (member === 'fields' ? [] : [[member, MEMBER_EXAMPLES[member]]])),
  )
  const fields = [flaw('pay_content.total_fee', 'required', REQUIRED)]
  const fault = new Fault(code, { extra, ...(members.includes('fields') ? { fields } : {}) })
  return JSON.parse(problem(fault, '5ab7f0b4-8f0c-11f0-9a55-525400123456').body)
}

function groupBy<T>(list: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one])
  return groups
}

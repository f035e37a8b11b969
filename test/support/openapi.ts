import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020'
import { ROOT } from '../../deploy/bundle'
import { describeApi, type ApiDocument, type Described } from '../../local/openapi/document'
import { FAULT_HELP } from '../../local/openapi/faults'
import type { Schema } from '../../local/openapi/jsonSchema'
import { readRoutes } from '../../local/routes'
import { FAULTS, type FaultCode } from '../../shared/base/errors'

/** A request and its answer, as a caller saw them. Header names are lower case. */
export type Exchange = {
  method: string
  path: string
  query: Record<string, string>
  requestHeaders: Record<string, string>
  requestBody: string
  status: number
  headers: Record<string, string>
  body: unknown
}

export type Checker = {
  document: ApiDocument
  /** What of it the document does not say, in sentences; nothing, when it says it all. */
  faults(exchange: Exchange): string[]
  /** `METHOD /path` of the operation that serves this, if there is one. */
  operationOf(method: string, path: string): string | undefined
}

/** Answers may gain members, says the document; here they may not, until it says so. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inside = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  const open = 'properties' in schema && !('additionalProperties' in schema) && 'type' in schema
  return open ? { ...inside, additionalProperties: false } : inside
}

/** Compares what goes to and fro with an OpenAPI document: every status, header, member and code must be in it. */
export function checkerOf(document: ApiDocument): Checker {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
  ajv.addKeyword('components')
  ajv.addSchema({ $id: 'doc', components: { schemas: closed(document.components.schemas) } })
  const compiled = new Map<Schema, ValidateFunction>()
  const validate = (schema: Schema, value: unknown, where: string): string[] => {
    let check = compiled.get(schema)
    if (!check) {
      const text = JSON.stringify(closed(schema)).replaceAll('"#/components/', '"doc#/components/')
      check = ajv.compile(JSON.parse(text) as object)
      compiled.set(schema, check)
    }
    if (check(value)) return []
    return check.errors!.map(
      ({ instancePath, message, params }) => `${where}${instancePath} ${message} ${JSON.stringify(params)}`,
    )
  }

  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      segments: path.split('/'),
      described,
    })),
  )
  const find = (method: string, path: string) => {
    const given = path.split('/')
    return operations.find(
      (one) =>
        one.method === method &&
        one.segments.length === given.length &&
        one.segments.every((part, at) => (part.startsWith('{') ? given[at] !== '' : part === given[at])),
    )
  }

  function requestFaults({ parameters, requestBody }: Described, exchange: Exchange): string[] {
    const { query, requestHeaders, requestBody: text } = exchange
    const known = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
    const given = (one: Described['parameters'][number]): string | undefined =>
      one.in === 'query'
        ? query[one.name]
        : one.in === 'header'
          ? requestHeaders[one.name.toLowerCase()]
          : undefined
    return [
      ...Object.keys(query)
        .filter((name) => !known.includes(name))
        .map((name) => `the query ${name} was taken and is not described`),
      ...parameters.flatMap((one) => {
        const value = given(one)
        return value === undefined ? [] : validate(one.schema, value, `the ${one.in} ${one.name}`)
      }),
      ...(requestBody && (text !== '' || requestBody.required)
        ? validate(requestBody.content['application/json']!.schema, JSON.parse(text), 'the request')
        : []),
    ]
  }

  return {
    document,
    operationOf: (method, path) => find(method, path)?.name,
    faults(exchange) {
      const { method, path, status, headers, body } = exchange
      const found = find(method, path)
      const code = (body as { code?: unknown } | null)?.code
      if (!found)
        return status === 404 && code === 'path_not_found' ? [] : [`${method} ${path} is no operation`]
      const answer = found.described.responses[status]
      if (!answer) return [`${found.name} answers ${status} (${String(code)}), which is not described`]
      const { 'content-type': type = '', ...rest } = headers
      const content = answer.content[type.split(';')[0]!]
      if (!content) return [`${found.name} answers ${status} as ${type}, which is not described`]
      const faults = Object.keys(rest)
        .filter((name) => !(name in answer.headers))
        .map((name) => `the header ${name} is not described`)
      for (const name of Object.keys(answer.headers)) {
        const { required, schema } = document.components.headers[name]!
        if (headers[name] !== undefined) faults.push(...validate(schema, headers[name], `the header ${name}`))
        else if (required) faults.push(`the header ${name} is missing`)
      }
      faults.push(...validate(content.schema, body, 'the answer'))
      if (typeof code === 'string' && code in FAULTS) {
        const waits = FAULT_HELP[code as FaultCode].retry === 'wait'
        if (waits !== 'retry-after' in headers) faults.push(`${code} and Retry-After do not belong together`)
      }
      // What was taken must be in the document; what was refused need not be.
      if (status < 300) faults.push(...requestFaults(found.described, exchange))
      return faults.map((fault) => `${found.name} ${status}: ${fault}`)
    },
  }
}

let own: Checker | undefined
/** With the document of this checkout. */
export const ownChecker = (): Checker =>
  (own ??= checkerOf(describeApi(readRoutes(ROOT), 'http://127.0.0.1')))

/** Throws when something of an exchange is in no document. */
export function expectDescribed(exchange: Exchange): void {
  const faults = ownChecker().faults(exchange)
  if (faults.length > 0) throw new Error(`not as /openapi.json says:\n${faults.join('\n')}`)
}

import { toJsonSchemaDefs } from '@valibot/to-json-schema'
import type * as v from 'valibot'

/** A JSON Schema of 2020-12, as OpenAPI 3.1 takes it. */
export type Schema = {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  anyOf?: Schema[]
  items?: Schema
  $ref?: string
  description?: string
  [keyword: string]: unknown
}

/** What `v.check` checks is known by its words alone. JSON Schema counts characters as we do: code points. */
const CHECKS: [RegExp, (found: RegExpExecArray) => Schema][] = [
  [/^must be at most (\d+) characters$/, ([, max]) => ({ maxLength: Number(max) })],
  [/^must be 32 bytes as base64url$/, () => ({ pattern: '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$' })],
  [/^must be 16 to 24 digits$/, () => ({ pattern: '^\\d{16,24}$' })],
  [/^must not be blanks only$/, () => ({ pattern: '\\S' })],
  [
    /^must be the id of a payer, /,
    () => ({
      pattern: '^[^\\s\\u0000-\\u001f\\u007f-\\u009f]*$',
      not: { enum: ['undefined', 'null', 'NaN', '[object Object]'] },
    }),
  ],
  // No JSON Schema can say these; the sentence stands in the description of the document.
  [/^must not contain half of a surrogate pair$/, () => ({})],
  [/^must not contain U\+0000$/, () => ({})],
]

/** Throws when a schema checks something that nobody has said in JSON Schema yet. */
export function jsonSchemas(schemas: Record<string, v.GenericSchema>): Record<string, Schema> {
  return toJsonSchemaDefs(schemas, {
    target: 'draft-2020-12',
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
    overrideAction({ valibotAction, jsonSchema }) {
      // Blanks around a note are cut off, which JSON Schema has no word for.
      if (valibotAction.type === 'trim') return jsonSchema
      if (valibotAction.type !== 'check') return undefined
      const { message } = valibotAction as unknown as { message: string }
      for (const [words, say] of CHECKS) {
        const found = words.exec(message)
        if (found) return { ...jsonSchema, ...(say(found) as object) }
      }
      throw new Error(`CHECKS in local/openapi/jsonSchema.ts has no JSON Schema for "${message}"`)
    },
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      valibotSchema.type === 'loose_object' ? { ...jsonSchema, additionalProperties: true } : undefined,
  }) as Record<string, Schema>
}

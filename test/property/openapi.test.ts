import Ajv2020 from 'ajv/dist/2020'
import * as fc from 'fast-check'
import * as v from 'valibot'
import { EXAMPLES } from '../../local/openapi/examples'
import { jsonSchemas } from '../../local/openapi/jsonSchema'
import { SCHEMAS, type SchemaName } from '../../local/openapi/schemas'
import { holds, propertyRuns } from '../support/property'

/**
 * A request body is acceptable to the functions' own schema exactly when it is to the described one. What JSON Schema
 * cannot say (U+0000, half of a surrogate pair, lengths in UTF-16 units) is not among the values, nor is the empty
 * list, which valibot takes for an object without members.
 */
const BODIES = {
  NewOrder: [EXAMPLES.newOrder, EXAMPLES.newMiniProgramOrder, EXAMPLES.newAlipayOrder, wholeOrder()],
  NewRefund: [EXAMPLES.newRefund],
  Login: [EXAMPLES.login],
  BeginLogin: [EXAMPLES.beginLogin],
  RevokePayer: [EXAMPLES.revokePayer],
  QuotedOrder: [EXAMPLES.quotedOrder],
  SkuOrder: [EXAMPLES.skuOrder],
} satisfies Partial<Record<SchemaName, object[]>>

function wholeOrder() {
  const { pay_content, ...rest } = EXAMPLES.newOrder
  return {
    ...rest,
    trade_type: 3,
    order_client: { device_id: 'd', staff_id: 's', terminal_type: 1, sdk_version: '1' },
    pay_content: {
      ...pay_content,
      out_trade_no: 'sb01x',
      fee_type: 'CNY',
      remark: '少冰',
      time_expire: 1_900_000_000,
      detail: {
        cost_price: 1880,
        receipt_id: 'r',
        goods_detail: [{ goods_id: 'g', quantity: 1, price: 1880 }],
      },
      wxpay_pay_content_ext: { attach: 'a', goods_tag: 'g', product_id: 'p', limit_pay: 'no_credit' },
    },
  }
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false })
ajv.addKeyword('components')
const described = jsonSchemas(SCHEMAS)

/** Around every limit there is, in characters of one, two and three bytes, and of two UTF-16 units. */
const LENGTHS = [0, 1, 10, 16, 32, 43, 64, 127, 128, 256, 4096, 6000].flatMap((at) => [at - 1, at, at + 1])
const text = (characters: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...characters), fc.constantFrom(...LENGTHS.filter((at) => at >= 0)))
    .map(([character, length]) => character.repeat(length))
const number = fc.constantFrom(
  -1,
  0,
  1,
  2,
  3,
  9,
  10,
  100,
  1.5,
  1e4,
  10_001,
  2 ** 31 - 1,
  2 ** 31,
  1e11,
  2 ** 53,
)
const NAMES = [
  'x',
  'sku',
  'quote',
  'quantity',
  'price',
  'body',
  'total_fee',
  'sub_open_id',
  'state',
  'sdk_version',
]
const changes = (characters: readonly string[]) =>
  fc.array(
    fc.record({
      at: fc.nat(),
      how: fc.constantFrom('set', 'set', 'set', 'drop', 'add'),
      name: fc.constantFrom(...NAMES),
      value: fc.oneof(
        text(characters),
        number,
        fc.constantFrom<unknown>(null, true, 'CNY', 'no_credit', 'open_id', 'sub_open_id', {}, ['x'], [{}]),
      ),
    }),
    { maxLength: 3 },
  )

type Node = Record<string, unknown>
type Change = { at: number; how: string; name: string; value: unknown }

/** Every place of a body that can be changed: an object or list, and a name in it. */
const places = (node: unknown): [Node, string][] =>
  typeof node === 'object' && node !== null
    ? Object.keys(node).flatMap((name): [Node, string][] => [
        [node as Node, name],
        ...places((node as Node)[name]),
      ])
    : []

function changed(body: object, changes: readonly Change[]): object {
  const copy = structuredClone(body)
  for (const { at, how, name, value: shared } of changes) {
    const value = structuredClone(shared)
    const all = places(copy)
    if (all.length === 0) continue
    const [node, member] = all[at % all.length]!
    if (how === 'add' && !Array.isArray(node)) node[name] = value
    else if (how === 'drop' && !Array.isArray(node)) delete node[member]
    else node[member] = value
  }
  return copy
}

test.each(Object.entries(BODIES))('%s is described as it is checked', async (name, bodies) => {
  const schema = SCHEMAS[name as SchemaName] as v.GenericSchema
  const accepts = ajv.compile({ ...described[name]!, components: { schemas: described } })
  const tally = { yes: 0, no: 0 }
  // The `state` of a login is counted in UTF-16 units; those that are good are hexadecimal.
  const characters = ['a', '9', '-', ' ', 'é', '湖', ...(name === 'Login' ? [] : ['🧋'])]
  await holds(
    fc.property(fc.constantFrom(...(bodies as object[])), changes(characters), (body, made) => {
      const sent = changed(body, made)
      const taken = v.is(schema, sent)
      tally[taken ? 'yes' : 'no']++
      expect(accepts(sent)).toBe(taken)
    }),
    // A schema has few corners: more runs show no more of them.
    Math.min(propertyRuns(), 5000),
  )
  // Both happened: otherwise nothing was compared.
  expect([tally.yes > 0, tally.no > 0]).toEqual([true, true])
})

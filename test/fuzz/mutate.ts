import type { Dice } from '../simulation/dice'

/** Values that parsers have been wrong about. */
const STRINGS = [
  ...[
    '',
    ' ',
    '0',
    '-1',
    '1e3',
    'null',
    'true',
    'NaN',
    '\0',
    '\n',
    '\r\n',
    '\u2028',
    '\ufeff',
    '\ufffd',
    '\ud83e',
  ],
  ...[
    '\udc00',
    '湖心奶茶',
    '🧋',
    'é',
    'e\u0301',
    'ＦＵＬＬ',
    '%',
    '%00',
    '%zz',
    '%E0%A4%A',
    '../..',
    "' OR 1=1 --",
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    '{}',
    '[]',
    '"',
    '\\',
    '\\u0000',
    'a'.repeat(33),
    'x'.repeat(300),
  ],
  ...['茶'.repeat(129), '🧋'.repeat(65), 'https://127.0.0.1/', 'Bearer x.y.z', '=', '&', ';', ',', '.', '..'],
]
const NUMBERS = [
  ...[0, -0, 1, -1, 2, 9, 0.5, 1e-7, 1e21, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 31)],
  ...[Number.MAX_VALUE, Number.MIN_VALUE, 1_900_000_000, 1_900_000_000_000],
]
const NAMES = [
  ...[
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'length',
    'toString',
    '',
    ' ',
    'a.b',
    '0',
    'status',
    'total_fee',
  ],
  ...['Total_Fee', 'out_trade_no', 'extra', '\ud83e', '\0', 'x'.repeat(250)],
]

/** As long as a body may be: what takes more than its length in time shows here. */
const LONG = ['a', '0', ' ', ':', '"', '\\', '%2', '茶', 'a.', '{"', '\ud83e']

export const oddText = (dice: Dice): string => {
  if (dice.chance(0.004)) return dice.pick(LONG).repeat(dice.between(1000, 30_000))
  if (dice.chance(0.8)) return dice.pick(STRINGS)
  return dice.bytes(dice.below(24)).toString(dice.pick(['latin1', 'utf8', 'hex']))
}

export const oddValue = (dice: Dice): unknown =>
  dice.pick([
    () => oddText(dice),
    () => dice.pick(NUMBERS),
    () => dice.pick([true, false, null, undefined]),
    () => dice.pick([[], {}, [[]], [{}], [null], { a: 1 }, [1, 2, 3]]),
  ])()

type Node = Record<string, unknown> | unknown[]
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null

/** Every place in a JSON value: the object or list it is in, and its name there. */
function places(value: unknown, found: [Node, string][] = []): [Node, string][] {
  if (isNode(value))
    for (const name of Object.keys(value)) {
      found.push([value, name])
      places((value as Record<string, unknown>)[name], found)
    }
  return found
}

/** A copy with one to four changes that keep most of its structure: what comes from a schema stays close to it. */
export function mutate<T>(value: T, dice: Dice): T {
  const copy = structuredClone(value)
  for (let left = dice.between(1, dice.pick([1, 1, 2, 4])); left > 0; left--) {
    const all = places(copy)
    if (all.length === 0) return copy
    const [node, name] = dice.pick(all)
    const at = node as Record<string, unknown>
    const old = at[name]
    switch (dice.below(8)) {
      case 0:
        delete at[name]
        break
      case 1:
        // As JSON.parse would put it there: `__proto__` becomes a name like any other.
        if (Array.isArray(node)) node.push(oddValue(dice))
        else
          Object.defineProperty(at, dice.pick(NAMES), {
            value: oddValue(dice),
            enumerable: true,
            configurable: true,
            writable: true,
          })
        break
      case 2:
        at[name] = typeof old === 'string' ? mutateText(old, dice) : oddValue(dice)
        break
      case 3:
        at[name] = typeof old === 'number' ? old + dice.pick([-1, 1, 0.5, 2 ** 31]) : oddValue(dice)
        break
      case 4:
        at[name] = isNode(old)
          ? dice.pick<unknown>([[old], { [name]: old }, JSON.stringify(old)])
          : dice.pick<unknown>([[old], { [name]: old }, String(old), Number(old)])
        break
      case 5: {
        const [other, otherName] = dice.pick(all)
        at[name] = structuredClone((other as Record<string, unknown>)[otherName])
        break
      }
      case 6:
        if (typeof old === 'string')
          at[name] = dice.pick([old.toUpperCase(), old + ' ', old.repeat(3), old.slice(1)])
        else at[name] = oddValue(dice)
        break
      default:
        at[name] = oddValue(dice)
    }
  }
  return copy
}

/** A few letters cut, doubled, changed or put in. */
export function mutateText(text: string, dice: Dice): string {
  let result = text
  for (let left = dice.between(1, 3); left > 0; left--) {
    const at = dice.below(result.length + 1)
    const take = dice.pick([0, 0, 1, 1, 2, 8])
    const put = dice.pick([
      '',
      '',
      oddText(dice),
      result.slice(at, at + 4),
      dice.pick([...'{}[]",:\\.-_0aA=']),
    ])
    result = result.slice(0, at) + put + result.slice(at + take)
  }
  return result
}

export function mutateBytes(bytes: Buffer, dice: Dice): Buffer {
  if (dice.chance(0.5)) return Buffer.from(mutateText(bytes.toString('utf8'), dice), 'utf8')
  const copy = Buffer.from(bytes)
  if (copy.length === 0) return dice.bytes(3)
  for (let left = dice.between(1, 3); left > 0; left--) copy[dice.below(copy.length)] = dice.below(256)
  return dice.chance(0.2) ? copy.subarray(0, dice.below(copy.length)) : copy
}

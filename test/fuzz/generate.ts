import * as v from 'valibot'
import type { Dice } from '../simulation/dice'

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- schemas are taken apart by their own kinds
type Schema = any

const LETTERS = [...'abcXYZ019', '-', '_', ' ', '"', '\\', '/', '茶', '🧋', 'é', '\u2028']

/** Texts a pattern may ask for. */
const SHAPES: ((dice: Dice) => string)[] = [
  (dice) => dice.bytes(dice.between(1, 12)).toString('hex'),
  (dice) => String(dice.next()),
  (dice) => dice.bytes(32).toString('base64url'),
  (dice) => dice.bytes(32).toString('hex').toUpperCase(),
  (dice) => `o${dice.bytes(8).toString('hex')}`,
  (dice) => `2088${String(dice.next()).padStart(12, '0').slice(-12)}`,
]

/** A value the schema takes, made from the schema itself: another one each time, as far as there are several. */
export function generate(schema: Schema, dice: Dice): unknown {
  const pipe: Schema[] = schema.pipe ?? [schema]
  const find = (type: string) => pipe.find((part) => part.type === type)
  switch (schema.type) {
    case 'string': {
      const pattern = find('regex')
      if (pattern) {
        for (let tries = 0; tries < 50; tries++) {
          const text = dice.pick(SHAPES)(dice)
          if (v.is(schema, text)) return text
        }
        throw new Error(`no text for ${String(pattern.requirement)}`)
      }
      const [, longest = '20'] =
        pipe
          .map((part) => /at most (\d+) characters/.exec(String(part.message)))
          .find((match) => match !== null) ?? []
      const shortest = find('min_length')?.requirement ?? 0
      const length = dice.chance(0.05)
        ? Number(longest)
        : dice.between(shortest, Math.min(Number(longest), 24))
      return Array.from({ length }, () => dice.pick(LETTERS)).join('')
    }
    case 'number': {
      if (!find('safe_integer')) return dice.between(0, 2_000_000_000)
      const min = find('min_value')?.requirement ?? 0
      const max = find('max_value')?.requirement ?? 2 ** 31
      return dice.chance(0.1) ? dice.pick([min, max]) : dice.between(min, Math.min(max, min + 100_000))
    }
    case 'boolean':
      return dice.chance(0.5)
    case 'literal':
      return schema.literal
    case 'picklist':
      return dice.pick(schema.options)
    case 'optional':
      return dice.chance(0.5) ? undefined : generate(schema.wrapped, dice)
    case 'array':
      return Array.from({ length: dice.below(4) }, () => generate(schema.item, dice))
    case 'tuple':
      return schema.items.map((item: Schema) => generate(item, dice))
    case 'union':
      return generate(dice.pick(schema.options), dice)
    case 'unknown':
      return dice.pick([1, 'x', null])
    case 'strict_object':
    case 'loose_object': {
      const made: Record<string, unknown> = {}
      for (const [name, entry] of Object.entries(schema.entries as Record<string, Schema>)) {
        const value = generate(entry, dice)
        if (value !== undefined) made[name] = value
      }
      if (schema.type === 'loose_object' && dice.chance(0.3)) made['news'] = dice.pick([1, 'x', {}, []])
      return made
    }
    default:
      throw new Error(`cannot make a ${String(schema.type)}`)
  }
}

import { createHash } from 'node:crypto'
import { readConfig, SANDBOX_MERCHANT } from '../../../shared/base/config'
import { systemRandom, type Random } from '../../../shared/base/random'
import { makeOrderNumber, orderNumberFault } from '../../../shared/order/number'

const NOW = 1_767_225_600_123
const prefixes = Array.from({ length: 19 }, (_, length) => 'Ab1'.repeat(7).slice(0, length))

/** The same bytes in every run: SHA-256 over a counter. */
function seeded(seed: string): Random {
  let block = 0
  let rest = Buffer.alloc(0)
  return (bytes) => {
    if (rest.length < bytes) {
      const more = Array.from({ length: 64 }, () =>
        createHash('sha256').update(`${seed}:${block++}`).digest(),
      )
      rest = Buffer.concat([rest, ...more])
    }
    const taken = rest.subarray(0, bytes)
    rest = rest.subarray(bytes)
    return taken
  }
}

const lowest: Random = (bytes) => Buffer.alloc(bytes, 0)
const highest: Random = (bytes) => Buffer.alloc(bytes, 251)

describe('a number we make', () => {
  test.each(prefixes)('behind the prefix %j has time and chance, and 32 characters at most', (prefix) => {
    const number = makeOrderNumber(prefix, NOW, systemRandom)
    const chance = Math.min(12, 32 - prefix.length - 8)
    expect(chance).toBeGreaterThanOrEqual(6)
    expect(number).toMatch(new RegExp(`^${prefix}[0-9a-z]{8}[0-9a-z]{${chance}}$`))
    expect(number.length).toBeLessThanOrEqual(32)
    if (prefix !== '') expect(orderNumberFault(prefix, number)).toBeUndefined()
    expect(parseInt(number.slice(prefix.length, prefix.length + 8), 36)).toBe(NOW)
  })

  test('has the room the configuration promises', () => {
    const env = {
      CLOUD_PAY_OUT_MCH_ID: 'm',
      CLOUD_PAY_OUT_SUB_MCH_ID: 's',
      CLOUD_PAY_OUT_SHOP_ID: 'p',
      CLOUD_PAY_AUTHEN_KEY: 'some-key',
      CLOUD_PAY_ORDER_PREFIX: 'p'.repeat(18),
    }
    const { order_prefix } = readConfig(env, true).merchants[0]
    expect(makeOrderNumber(order_prefix, NOW, systemRandom)).toHaveLength(32)
  })

  test.each(prefixes)('a millisecond later sorts later, whatever chance says (prefix %j)', (prefix) => {
    const steps = [1_000_000_000_000, NOW, 36 ** 7 - 1, 36 ** 7, Date.UTC(2040, 0, 1), Date.UTC(2059, 0, 1)]
    for (const ms of steps) {
      const earlier = makeOrderNumber(prefix, ms, highest)
      const later = makeOrderNumber(prefix, ms + 1, lowest)
      expect(earlier < later).toBe(true)
      expect(Buffer.compare(Buffer.from(earlier), Buffer.from(later))).toBe(-1)
    }
  })

  test('sorts as time does over 10 000 moments', () => {
    const random = seeded('sort')
    const moments = Array.from({ length: 10_000 }, (_, nth) => NOW + nth * nth * 37)
    const numbers = moments.map((ms) => makeOrderNumber('sb01', ms, random))
    expect([...numbers].sort()).toEqual(numbers)
  })

  test.each([0, 1, 999, 36 ** 8 - 1])('has eight characters of time at %d ms', (ms) => {
    expect(makeOrderNumber('x', ms, lowest)).toHaveLength(1 + 8 + 12)
  })

  test('takes a moment between two milliseconds for the first', () => {
    expect(makeOrderNumber('x', NOW + 0.9, lowest)).toBe(makeOrderNumber('x', NOW, lowest))
  })

  test('does not meet another one among 100 000 in the same millisecond', () => {
    const random = seeded('collide')
    const numbers = new Set(Array.from({ length: 100_000 }, () => makeOrderNumber('sb01', NOW, random)))
    expect(numbers.size).toBe(100_000)
  })

  test('meets hardly one there behind the longest prefix', () => {
    const random = seeded('collide')
    const prefix = 'p'.repeat(18)
    const numbers = new Set(Array.from({ length: 100_000 }, () => makeOrderNumber(prefix, NOW, random)))
    // Six characters are 36^6 numbers a millisecond: 2.3 of 100 000 are expected to meet, and the row's key finds
    // those. A thousand in one millisecond, more than any shop sells, meet once in 4000 such milliseconds.
    expect(100_000 - numbers.size).toBeLessThanOrEqual(8)
    expect(new Set([...numbers].slice(0, 1000)).size).toBe(1000)
  })
})

describe('a number a caller chose', () => {
  const prefix = SANDBOX_MERCHANT.order_prefix
  test.each([[`${prefix}1`], [`${prefix}ABCxyz09`], [prefix + 'x'.repeat(28)], [prefix + prefix]])(
    'may be %s',
    (number) => {
      expect(orderNumberFault(prefix, number)).toBeUndefined()
    },
  )

  test.each([
    ['', 'prefix'],
    ['x', 'prefix'],
    ['sb02x', 'prefix'],
    ['SB01x', 'prefix'],
    ['xsb01', 'prefix'],
    [' sb01x', 'prefix'],
    ['sb01', 'characters of its own'],
    ['sb01' + 'x'.repeat(29), 'at most 32'],
    ['sb01-1', 'letters and digits'],
    ['sb01_1', 'letters and digits'],
    ['sb01 1', 'letters and digits'],
    ['sb011\n', 'letters and digits'],
    ['sb01é', 'letters and digits'],
    ['sb01湖', 'letters and digits'],
    ['sb01１', 'letters and digits'],
    ["sb01'or'1", 'letters and digits'],
    ['sb01%00', 'letters and digits'],
  ])('may not be %j: %s', (number, why) => {
    expect(orderNumberFault(prefix, number)).toContain(why)
  })

  test.each(prefixes.slice(1))('of 32 characters fits behind the prefix %j, one of 33 does not', (own) => {
    expect(orderNumberFault(own, own.padEnd(32, 'x'))).toBeUndefined()
    expect(orderNumberFault(own, own.padEnd(33, 'x'))).toContain('at most 32')
    expect(orderNumberFault(own, own)).toContain('characters of its own')
  })
})

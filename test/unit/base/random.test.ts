import { createHash } from 'node:crypto'
import { makeNonce, randomText, systemRandom, type Random } from '../../../shared/base/random'

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz'

/** The same bytes in every run: SHA-256 over a counter. */
function seeded(seed: string): Random {
  let block = 0
  let rest = Buffer.alloc(0)
  return (bytes) => {
    while (rest.length < bytes) {
      rest = Buffer.concat([rest, createHash('sha256').update(`${seed}:${block++}`).digest()])
    }
    const taken = rest.subarray(0, bytes)
    rest = rest.subarray(bytes)
    return taken
  }
}

const countOf = (text: string) => {
  const counts = new Map([...ALPHABET].map((letter) => [letter, 0]))
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  return counts
}

const chiSquare = (text: string) => {
  const expected = text.length / ALPHABET.length
  return [...countOf(text).values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('random text', () => {
  test.each([0, 1, 6, 12, 100])('has %d characters of its alphabet', (length) => {
    expect(randomText(systemRandom, length)).toMatch(new RegExp(`^[0-9a-z]{${length}}$`))
  })

  test('makes every letter equally likely', () => {
    const text = Array.from({ length: 3000 }, (_, at) => randomText(seeded(`text ${at}`), 12)).join('')
    expect(countOf(text).size).toBe(36)
    // 35 degrees of freedom: a fair source is above 66.6 once in a thousand seeds, and this seed is fixed.
    expect(chiSquare(text)).toBeLessThan(66.6)
  })

  test('and the measure would notice the letters a plain modulo favours', () => {
    const bytes = seeded('biased')(36_000)
    expect(chiSquare([...bytes].map((byte) => ALPHABET.charAt(byte % 36)).join(''))).toBeGreaterThan(66.6)
  })

  test('passes over the four bytes that would favour the first letters, and asks for others', () => {
    const given = [Buffer.from([255, 254, 253, 252]), Buffer.from([251, 252, 0]), Buffer.from([36, 71])]
    const asked: number[] = []
    const random: Random = (bytes) => {
      asked.push(bytes)
      return given.shift()!
    }
    expect(randomText(random, 4)).toBe('z00z')
    expect(asked).toEqual([4, 4, 2])
  })

  test('gives each letter exactly seven of the bytes it takes', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const text = randomText(() => all, 252)
    expect(new Set(countOf(text).values())).toEqual(new Set([7]))
  })

  test('is decided by the source alone', () => {
    expect(randomText(seeded('a'), 12)).toBe(randomText(seeded('a'), 12))
    expect(randomText(seeded('a'), 12)).not.toBe(randomText(seeded('b'), 12))
  })
})

describe('a nonce', () => {
  test('is 32 lower-case hex characters, the 16 bytes of its source', () => {
    expect(makeNonce(() => Buffer.from('00ff10abcdef0123456789abcdef9999', 'hex'))).toBe(
      '00ff10abcdef0123456789abcdef9999',
    )
    expect(makeNonce(systemRandom)).toMatch(/^[0-9a-f]{32}$/)
  })

  test('does not repeat', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => makeNonce(systemRandom))).size).toBe(10_000)
  })
})

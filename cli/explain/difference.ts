/** Where two texts begin to differ, shown so that a terminal, a log and a reader see every character. */

export type Difference = { offset: number; sent: Side; received: Side }
/** `byte` in hex, or `end` where the text is over. */
export type Side = { byte: string; before: string; after: string }

const CONTEXT_CHARACTERS = 16
const MASK = '*'

/** `secrets` are masked wherever they occur, in any letter case; so is everything that could be a code. */
export function firstDifference(
  sent: Buffer,
  received: Buffer,
  secrets: readonly string[],
): Difference | undefined {
  const longer = Math.max(sent.length, received.length)
  let offset = 0
  while (offset < longer && sent[offset] === received[offset]) offset++
  if (offset === longer) return undefined

  // Context begins with a whole character even where only its last byte differs.
  let start = offset
  while (start > 0 && (isInside(sent[start]) || isInside(received[start]))) start--
  const side = (bytes: Buffer): Side => {
    const masked = mask(bytes, secrets)
    const byte = bytes[offset]
    return {
      byte: byte === undefined ? 'end' : masked[offset] !== byte ? MASK + MASK : hex(byte),
      before: visible(characters(masked.subarray(0, start)).slice(-CONTEXT_CHARACTERS)),
      after: visible(characters(masked.subarray(start)).slice(0, CONTEXT_CHARACTERS)),
    }
  }
  return { offset, sent: side(sent), received: side(received) }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0')
const isInside = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80
const characters = (bytes: Buffer): string[] => [...bytes.toString('utf8')]

/** Byte for byte, so that offsets stay true. */
function mask(bytes: Buffer, secrets: readonly string[]): Buffer {
  let view = bytes.toString('latin1')
  const cover = (found: string) => MASK.repeat(found.length)
  for (const secret of secrets) {
    for (const spelling of new Set([secret, JSON.stringify(secret).slice(1, -1)])) {
      const literal = Buffer.from(spelling, 'utf8').toString('latin1').replace(/[^\w]/g, '\\$&')
      if (literal !== '') view = view.replace(new RegExp(literal, 'gi'), cover)
    }
  }
  return Buffer.from(view.replace(/[0-9a-f]{64}/gi, cover), 'latin1')
}

/** Control characters as their pictures, other invisible ones by number: nothing here can steer a terminal. */
function visible(text: readonly string[]): string {
  return text
    .map((character) => {
      const point = character.codePointAt(0) ?? 0
      if (point < 0x20) return String.fromCodePoint(0x2400 + point)
      if (point === 0x20 || !/[\p{C}\p{Z}\p{M}]/u.test(character)) return character
      return `<U+${point.toString(16).toUpperCase().padStart(4, '0')}>`
    })
    .join('')
}

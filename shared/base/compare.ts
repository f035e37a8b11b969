import { timingSafeEqual } from 'node:crypto'

/**
 * Whether two texts are the same, in constant time for texts of one length: for whatever proves who somebody is (codes,
 * signatures, hashes of secrets). Of the texts, not of what they encode: another spelling of the same bytes is another
 * text. The only place that compares such a thing; eslint keeps `===` away from it everywhere else.
 */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')]
  return left.length === right.length && timingSafeEqual(left, right)
}

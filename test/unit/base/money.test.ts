import * as v from 'valibot'
import { Fen, FEN_MAX } from '../../../shared/base/money'

describe('money', () => {
  test.each([1, 2, 1880, FEN_MAX - 1, FEN_MAX])('%d fen are money', (fen) => {
    expect(v.is(Fen, fen)).toBe(true)
  })

  test.each([
    0,
    -0,
    -1,
    0.5,
    18.8,
    1e-9,
    FEN_MAX + 1,
    2 ** 53,
    1e21,
    NaN,
    Infinity,
    -Infinity,
    '1880',
    '',
    null,
    undefined,
    true,
    [1],
    {},
    1880n,
    new Number(1),
  ])('%p are not', (given) => {
    expect(v.is(Fen, given)).toBe(false)
  })

  test('the largest amount is the largest of 32 bits', () => {
    expect(FEN_MAX).toBe(2 ** 31 - 1)
  })
})

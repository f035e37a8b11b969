import * as fc from 'fast-check'
import { readYuan, yuan } from '../../../web/money'
import { holds } from '../../support/property'

test.each([
  ['5', 500],
  ['5.0', 500],
  ['5.05', 505],
  ['0.01', 1],
  [' 18.80 ', 1880],
  ['1234567.89', 123456789],
  // As a fraction of two this would be 1998.9999999999998.
  ['19.99', 1999],
])('%s yuan are %d fen', (text, fen) => expect(readYuan(text)).toBe(fen))

test.each([
  '',
  '0',
  '0.00',
  '-5',
  '+5',
  '5.',
  '.5',
  '5.001',
  '1,000',
  '５',
  '5元',
  '1e3',
  '0x10',
  'NaN',
  '9'.repeat(10),
])('“%s” is no amount', (text) => expect(readYuan(text)).toBeUndefined())

test('what is shown of an amount is read as that amount', async () => {
  await holds(
    fc.property(fc.integer({ min: 1, max: 99_999_999_999 }), (fen) => {
      expect(readYuan(yuan(fen).replace(/,/g, ''))).toBe(fen)
    }),
  )
})

import { Fault } from '../../../shared/base/errors'
import { readHead } from '../../../shared/http/event'
import { idempotencyKey } from '../../../shared/http/idempotency'

const keyOf = (headers: object) => idempotencyKey(readHead({ httpMethod: 'POST', path: '/orders', headers }))

describe('the Idempotency-Key', () => {
  test('may be left out', () => {
    expect(keyOf({})).toBeNull()
    expect(keyOf({ 'idempotency-keys': 'x' })).toBeNull()
  })

  test.each(['a', '!', '~', '0', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', '"quoted"', 'a,b', 'x'.repeat(255)])(
    'may be %j, and is kept as it is',
    (key) => {
      expect(keyOf({ 'Idempotency-Key': key })).toBe(key)
      expect(keyOf({ 'IDEMPOTENCY-KEY': [key] })).toBe(key)
    },
  )

  test.each(['', ' ', 'a ', ' a', 'a b', 'a\n', 'a\t', '\u0001', '\u007f', 'é', '键', '🔑', 'x'.repeat(256)])(
    'may not be %j: databases do not agree on what is the same',
    (key) => {
      expect(() => keyOf({ 'idempotency-key': key })).toThrow(
        expect.objectContaining({ name: 'Fault', code: 'idempotency_key_invalid' }),
      )
      expect(() => keyOf({ 'idempotency-key': key })).toThrow(Fault)
    },
  )

  test('given twice is none: which of them was meant?', () => {
    for (const headers of [
      { 'idempotency-key': ['a', 'b'] },
      { 'Idempotency-Key': 'a', 'idempotency-key': 'b' },
    ]) {
      expect(() => keyOf(headers)).toThrow(expect.objectContaining({ code: 'idempotency_key_invalid' }))
    }
  })
})

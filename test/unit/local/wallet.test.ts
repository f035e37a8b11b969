import { paySign, stringToSign, type SignType } from '../../../local/sandbox/wallet'
import vectors from '../../fixtures/vectors.json'

const cases = vectors.wechat_pay_sign_vectors.map((vector) => ({
  ...vector,
  params: Object.fromEntries(Object.entries(vector.params)),
  sign_type: vector.sign_type as SignType,
}))

test.each(cases)('$name: $note', ({ params, api_key, sign_type, string_to_sign_utf8, pay_sign }) => {
  expect(stringToSign(params, api_key)).toBe(string_to_sign_utf8)
  expect(paySign(params, api_key, sign_type)).toBe(pay_sign)
})

const [{ params, api_key, sign_type, pay_sign }] = cases as [(typeof cases)[0]]

it('does not depend on the order in which the parameters are given', () => {
  const reversed = Object.fromEntries(Object.entries(params).reverse())
  expect(paySign(reversed, api_key, sign_type)).toBe(pay_sign)
})

it('leaves empty parameters out', () => {
  expect(paySign({ ...params, attach: '' }, api_key, sign_type)).toBe(pay_sign)
})

it('changes with any parameter and with the key', () => {
  for (const name of Object.keys(params))
    expect(paySign({ ...params, [name]: `${params[name]}x` }, api_key, sign_type)).not.toBe(pay_sign)
  expect(paySign(params, api_key.toUpperCase(), sign_type)).not.toBe(pay_sign)
})

import Sign from 'tencentcloud-sdk-nodejs-common/tencentcloud/common/sign'
import fc from 'fast-check'
import { tc3Authorization } from '../../../shared/tencent/tc3'
import { ApiFault } from '../../support/controlPlane/fault'
import { verifyTc3 } from '../../support/controlPlane/tc3'

/** The request of Tencent's own example (签名方法 v3), escapes and blanks as printed there. */
const example = {
  host: 'cvm.tencentcloudapi.com',
  service: 'cvm',
  contentType: 'application/json; charset=utf-8',
  body: String.raw`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`,
  nowS: 1_551_113_065,
}
const scope = '2019-02-25/cvm/tc3_request'

describe("Tencent's published example", () => {
  test('of the international pages, with a key that ends in EXAMPLE', () => {
    const [secretId, secretKey] = ['AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE', 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE']
    expect(tc3Authorization({ secretId, secretKey }, example)).toBe(
      `TC3-HMAC-SHA256 Credential=${secretId}/${scope}, SignedHeaders=content-type;host, ` +
        'Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168',
    )
  })

  test('of the Chinese pages, where the key is 32 asterisks and the action is signed too', () => {
    const secretKey = '*'.repeat(32)
    const signed = { 'x-tc-action': 'DescribeInstances' }
    expect(tc3Authorization({ secretId: `AKID${secretKey}`, secretKey }, { ...example, signed })).toBe(
      `TC3-HMAC-SHA256 Credential=AKID${secretKey}/${scope}, SignedHeaders=content-type;host;x-tc-action, ` +
        'Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f',
    )
  })
})

const word = fc.stringMatching(/^[A-Za-z0-9]{1,40}$/)
const given = fc.record({
  secretId: word,
  secretKey: word,
  service: fc.constantFrom('ssm', 'scf', 'cvm'),
  body: fc.json(),
  nowS: fc.integer({ min: 1_000_000_000, max: 4_000_000_000 }),
})

test("signs as Tencent's SDK does, whatever the text, the key and the day", () => {
  fc.assert(
    fc.property(given, ({ secretId, secretKey, service, body, nowS }) => {
      const contentType = 'application/json'
      const host = `${service}.tencentcloudapi.com`
      const theirs = Sign.sign3({
        ...{ method: 'POST', url: `https://${host}/`, payload: Buffer.from(body), timestamp: nowS, service },
        ...{ secretId, secretKey, multipart: false, boundary: '', headers: { 'Content-Type': contentType } },
      })
      expect(tc3Authorization({ secretId, secretKey }, { host, service, contentType, body, nowS })).toBe(
        theirs,
      )
    }),
    { numRuns: 200 },
  )
})

test('is accepted by who checks it, and not when anything signed has changed', () => {
  const keys = { secretId: 'AKID1', secretKey: 'k1' }
  const headers = {
    'content-type': example.contentType,
    host: example.host,
    'x-tc-action': 'DescribeInstances',
    'x-tc-timestamp': String(example.nowS),
    authorization: tc3Authorization(keys, { ...example, signed: { 'x-tc-action': 'DescribeInstances' } }),
  }
  const check = (change: object = {}, service = 'cvm', body = example.body) => {
    const request = {
      method: 'POST',
      target: '/',
      body: Buffer.from(body),
      headers: { ...headers, ...change },
    }
    return () => verifyTc3(request, keys, service, example.nowS * 1000)
  }
  expect(check()).not.toThrow()
  for (const [change, service, body] of [
    [{ host: 'ssm.tencentcloudapi.com' }],
    [{ 'content-type': 'application/json' }],
    [{ 'x-tc-action': 'TerminateInstances' }],
    [{ 'x-tc-timestamp': String(example.nowS + 1) }],
    [{}, 'scf'],
    [{}, 'cvm', `${example.body} `],
  ] as const) {
    expect(check(change, service, body)).toThrow(ApiFault)
  }
})

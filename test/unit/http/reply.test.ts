import { Fault, FAULTS, type FaultCode } from '../../../shared/base/errors'
import { acknowledge, refuseNotification } from '../../../shared/http/reply'

const SECRET = 'mysql://pay:Pw9-db-password@10.0.0.5/orders'

/** As product/569/11609 wants to read it. */
const content = (answer: { body: string }) =>
  (JSON.parse(answer.body) as { response_content: { status: number; description: string } }).response_content

describe('what Cloud Pay reads from us', () => {
  test('is a 200 with status 0 once its notification is kept', () => {
    const answer = acknowledge('r-1')
    expect(answer).toEqual({
      statusCode: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-request-id': 'r-1',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      },
      body: '{"response_content":{"status":0,"description":"OK"}}',
      isBase64Encoded: false,
    })
  })

  const codes = Object.keys(FAULTS) as FaultCode[]
  const ours = codes.filter((code) => FAULTS[code].status >= 500)

  test('for any fault on our side is "again, please", and for any other a plain no', () => {
    expect(ours).toEqual(
      expect.arrayContaining(['internal', 'database_unavailable', 'configuration', 'no_time_left']),
    )
    for (const code of codes) {
      const answer = refuseNotification(new Fault(code), 'r')
      expect([code, answer.statusCode]).toEqual([code, ours.includes(code) ? 503 : 401])
      expect(content(answer).status).not.toBe(0)
    }
  })

  test('has one face for every refusal: who forges learns nothing from it', () => {
    const faces = (some: FaultCode[]) =>
      new Set(
        some.map((code) => {
          const extras = {
            cause: new Error(SECRET),
            fields: [{ field: 'sign', code: 'value', message: 'is wrong', message_zh: '不对' }],
            retryAfterS: 7,
            extra: { out_trade_no: 'sb01x' },
          }
          return JSON.stringify(refuseNotification(new Fault(code, extras), 'r'))
        }),
      )
    const refusals = faces(codes.filter((code) => !ours.includes(code)))
    expect(refusals.size).toBe(1)
    expect(faces(ours).size).toBe(1)
    for (const face of [...refusals, ...faces(ours)]) {
      expect(face).not.toMatch(/Pw9|sign|sb01x|retry-after/i)
      for (const code of codes) expect(face).not.toContain(code)
    }
  })
})

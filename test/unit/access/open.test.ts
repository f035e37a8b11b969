import { Fault } from '../../../shared/base/errors'
import { openAuthorize } from '../../../shared/access/open'
import { readHead } from '../../../shared/http/event'

const named = (name: string) => openAuthorize({ headers: { 'x-local-caller': name } })

describe('the open door', () => {
  test('takes whoever says nothing for the merchant on this machine', async () => {
    expect(await openAuthorize({ headers: {} })).toEqual({ id: 'local', kind: 'merchant' })
    expect(await openAuthorize({ headers: { authorization: 'Bearer x', 'x-caller': 'eve' } })).toEqual({
      id: 'local',
      kind: 'merchant',
    })
  })

  test.each([
    ['alice', 'alice', 'merchant'],
    ['a', 'a', 'merchant'],
    ['a-b_C9', 'a-b_C9', 'merchant'],
    ['x'.repeat(40), 'x'.repeat(40), 'merchant'],
    ['payer', 'payer', 'merchant'],
    ['merchant', 'merchant', 'merchant'],
    ['__proto__', '__proto__', 'merchant'],
    ['payer:bob', 'bob', 'payer'],
    ['payer:payer', 'payer', 'payer'],
    [`payer:${'x'.repeat(40)}`, 'x'.repeat(40), 'payer'],
  ])('takes %j for %s, a %s', async (header, id, kind) => {
    expect(await named(header)).toEqual({ id, kind })
  })

  test.each([
    '',
    ' ',
    'alice ',
    ' alice',
    'alice\n',
    'a b',
    'alice, bob',
    'payer:',
    'payer: bob',
    'PAYER:bob',
    'Payer:bob',
    'merchant:bob',
    'payer:payer:bob',
    ':bob',
    'bob:',
    '爱丽丝',
    'a.b',
    "a'--",
    'x'.repeat(41),
    `payer:${'x'.repeat(41)}`,
  ])('does not know %j', async (header) => {
    const refused = await named(header).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(Fault)
    expect(refused).toMatchObject({ code: 'caller_unknown' })
  })

  test('reads the header in any case, and two names are none', async () => {
    const through = (headers: object) => openAuthorize(readHead({ httpMethod: 'GET', path: '/', headers }))
    expect(await through({ 'X-Local-Caller': 'alice' })).toEqual({ id: 'alice', kind: 'merchant' })
    await expect(through({ 'x-local-caller': ['alice', 'bob'] })).rejects.toMatchObject({
      code: 'caller_unknown',
    })
  })
})

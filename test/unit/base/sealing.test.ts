import { randomBytes } from 'node:crypto'
import type { NamedKey } from '../../../shared/base/entries'
import { seal, unseal } from '../../../shared/base/sealing'
import { Secret } from '../../../shared/base/secrets'

const key = (name: string): NamedKey => ({ name, secret: new Secret(randomBytes(32).toString('base64')) })
const [first, second] = [key('2026-11'), key('2027-02')]
const TEXT = '{"authen_key":"湖心-0123456789abcdef"}'
const sealed = seal([first], TEXT, 'merchants:sub1', randomBytes)

test('what was sealed opens with the same data key, also when a newer one stands in front of it', () => {
  expect(unseal([first], sealed, 'merchants:sub1').reveal()).toBe(TEXT)
  expect(unseal([second, first], sealed, 'merchants:sub1').reveal()).toBe(TEXT)
  expect(seal([second, first], TEXT, 'merchants:sub1', randomBytes)).toMatch(/^v1~2027-02~/)
})

test('nothing of the text can be read in it, and the same text never looks the same twice', () => {
  const again = seal([first], TEXT, 'merchants:sub1', randomBytes)
  expect(again).not.toBe(sealed)
  const readable = sealed
    .split('~')
    .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    .join()
  expect(readable + sealed).not.toContain('authen_key')
})

test.each<[why: string, open: () => unknown]>([
  ['no key', () => unseal([], sealed, 'merchants:sub1')],
  ['another key', () => unseal([second], sealed, 'merchants:sub1')],
  ['another key of the same name', () => unseal([{ ...second, name: first.name }], sealed, 'merchants:sub1')],
  ['the row of another', () => unseal([first], sealed, 'merchants:sub2')],
  ['a version to come', () => unseal([first], sealed.replace('v1', 'v2'), 'merchants:sub1')],
  ['nothing', () => unseal([first], '', 'merchants:sub1')],
])('it does not open with %s', (_why, open) => {
  expect(open).toThrow()
})

test('a change of any one character keeps it shut', () => {
  for (let at = 0; at < sealed.length - 2; at++) {
    const other = sealed[at] === 'A' ? 'B' : 'A'
    const changed = sealed.slice(0, at) + other + sealed.slice(at + 1)
    // The last character of a part may hold bits that count for nothing.
    const same = changed.split('~').every((part, i) => decode(part) === decode(sealed.split('~')[i]!))
    if (!same) expect(() => unseal([first], changed, 'merchants:sub1')).toThrow()
  }
})

const decode = (part: string) => Buffer.from(part, 'base64url').toString('hex')

test('without a data key nothing is sealed', () => {
  expect(() => seal([], TEXT, 'merchants:sub1', randomBytes)).toThrow('DATA_KEYS is missing')
})

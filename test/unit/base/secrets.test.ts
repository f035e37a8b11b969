import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import { Secret } from '../../../shared/base/secrets'

const TEXT = 'key-Zq7"\\secret'

/** What a console of our own writes. */
function printed(print: (console: Console) => void): string {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  print(new Console({ stdout: stream, stderr: stream }))
  return text
}

/** A template takes anything; the linter would rather it did not. */
const inTemplate = (value: unknown) => `${value as string}`

const ways: [name: string, show: (secret: Secret) => string][] = [
  ['String()', (secret) => String(secret)],
  ['a template', (secret) => inTemplate(secret)],
  ['concatenation', (secret) => 'x' + (secret as unknown as string)],
  ['joining', (secret) => [secret, secret].join()],
  ['toLocaleString', (secret) => secret.toLocaleString()],
  ['JSON', (secret) => JSON.stringify(secret)],
  ['JSON of something around it', (secret) => JSON.stringify({ a: [{ secret }] })],
  ['inspect', (secret) => inspect(secret)],
  ['inspect of something around it', (secret) => inspect({ a: { b: [secret] } }, { depth: 9 })],
  ['inspect with hidden members', (secret) => inspect(secret, { showHidden: true, getters: true })],
  ['inspect without its say', (secret) => inspect(secret, { customInspect: false, showHidden: true })],
  ['%s', (secret) => format('%s', secret)],
  ['%d', (secret) => format('%d', secret)],
  ['%i', (secret) => format('%i', secret)],
  ['%j', (secret) => format('%j', secret)],
  ['%o', (secret) => format('%o', secret)],
  ['%O', (secret) => format('%O', { secret })],
  ['an extra argument of format', (secret) => format('', secret)],
  ['console.log', (secret) => printed((console) => console.log(secret, { secret }, inTemplate(secret)))],
  ['console.error', (secret) => printed((console) => console.error('%s %o', secret, [secret]))],
  ['console.dir', (secret) => printed((console) => console.dir({ secret }, { showHidden: true }))],
  ['console.table', (secret) => printed((console) => console.table([{ secret }]))],
  ['an error message', (secret) => String(new Error(`bad ${inTemplate(secret)}`))],
  ['an error cause', (secret) => inspect(new Error('bad', { cause: secret }))],
  ['a spread', (secret) => JSON.stringify({ ...secret })],
  ['its members', (secret) => JSON.stringify(Object.getOwnPropertyDescriptors(secret))],
  ['an assignment', (secret) => JSON.stringify(Object.assign({}, secret))],
  ['for in', (secret) => Object.keys(secret).join() + Reflect.ownKeys(secret).map(String).join()],
  ['serialising', (secret) => serialize(Object.assign({}, { secret: { ...secret } })).toString('latin1')],
]

describe('a secret', () => {
  test.each(ways)('is not shown by %s', (_name, show) => {
    const shown = show(new Secret(TEXT))
    expect(shown).not.toContain(TEXT)
    expect(shown).not.toContain('Zq7')
    expect(shown).not.toContain(Buffer.from(TEXT).toString('hex'))
  })

  test.each([
    String(new Secret(TEXT)),
    JSON.parse(JSON.stringify(new Secret(TEXT))) as string,
    inspect(new Secret(TEXT)),
  ])('shows %s in its place', (shown) => {
    expect(shown).toBe('***')
  })

  test('comes out of reveal alone, as it went in', () => {
    for (const text of [TEXT, '', '密码🧋', '***']) expect(new Secret(text).reveal()).toBe(text)
  })

  test('is its own: two do not mix', () => {
    const [a, b] = [new Secret('aaaaaa'), new Secret('bbbbbb')]
    expect([a.reveal(), b.reveal()]).toEqual(['aaaaaa', 'bbbbbb'])
  })
})

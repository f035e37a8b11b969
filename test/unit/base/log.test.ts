import { createLog, describeError, type LogLine } from '../../../shared/base/log'
import { Secret } from '../../../shared/base/secrets'

const KEY = 'Zq7-authen-key-0123456789abcdef!'
const QUOTED = 'a"quoted\\key\\n"with"marks'
const URL_TEXT = 'mysql://pay:Pw9-db-password@10.0.0.5:3306/orders'
const all = [KEY, QUOTED, URL_TEXT]

const inJson = (text: string) => JSON.stringify(text).slice(1, -1)

function logged(line: LogLine, secrets: readonly string[] = all): string {
  let written = ''
  createLog(
    (text) => (written += text),
    secrets.map((secret) => new Secret(secret)),
  )(line)
  return written
}

describe('the log', () => {
  test('writes one line of JSON for one event', () => {
    const text = logged({ event: 'x', text: 'two\nlines "quoted"', number: 1, nothing: null })
    expect(text.endsWith('\n')).toBe(true)
    expect(text.trimEnd()).not.toContain('\n')
    expect(JSON.parse(text)).toEqual({
      level: 'info',
      event: 'x',
      text: 'two\nlines "quoted"',
      number: 1,
      nothing: null,
    })
  })

  test('takes the level it is given', () => {
    expect(JSON.parse(logged({ event: 'x', level: 'error' }))).toMatchObject({ level: 'error' })
  })

  const places: [name: string, line: (secret: string) => LogLine][] = [
    ['a value', (secret) => ({ event: 'x', value: secret })],
    ['the event', (secret) => ({ event: secret })],
    ['the middle of a text', (secret) => ({ event: 'x', text: `before${secret}after ${secret}` })],
    ['the name of a member', (secret) => ({ event: 'x', [secret]: 1 })],
    ['a list', (secret) => ({ event: 'x', list: [1, [secret]] })],
    ['an object', (secret) => ({ event: 'x', deep: { deeper: { deepest: secret } } })],
    ['JSON inside the line', (secret) => ({ event: 'x', body: JSON.stringify({ key: secret }) })],
    ['an error', (secret) => ({ event: 'x', cause: describeError(new Error(`denied: ${secret}`)) })],
    [
      'the cause of the cause of an error',
      (secret) => ({
        event: 'x',
        cause: describeError(
          new Error('outer', { cause: new Error('middle', { cause: new Error(`inner ${secret}`) }) }),
        ),
      }),
    ],
    [
      "an error's name and code",
      (secret) => ({
        event: 'x',
        cause: describeError(Object.assign(new Error('x'), { name: secret, code: secret })),
      }),
    ],
    [
      'an error of several lines',
      (secret) => ({ event: 'x', cause: describeError(new Error(`a\n${secret}\nb`)) }),
    ],
    ['a Secret', (secret) => ({ event: 'x', secret: new Secret(secret) })],
  ]

  describe.each(all)('strikes out %s', (secret) => {
    test.each(places)('in %s', (_name, line) => {
      const text = logged(line(secret))
      expect(text).toContain('***')
      expect(text).not.toContain(secret)
      expect(text).not.toContain(inJson(secret))
      expect(text).not.toContain(inJson(inJson(secret)))
      expect(() => JSON.parse(text) as unknown).not.toThrow()
    })

    // Cutting a message before the secrets are struck out of it would leave the first half of one standing.
    test.each([3, 6, 10, 20])('also where a long message is cut, %d characters into it', (into) => {
      const message = '~'.repeat(500 - into) + secret
      const text = logged({
        event: 'x',
        cause: describeError(new Error('outer', { cause: new Error(message) })),
      })
      expect(text).not.toContain(`~${inJson(secret.slice(0, into))}`)
    })
  })

  test('strikes out a secret that another one contains, and the other one', () => {
    const text = logged({ event: 'x', a: 'abcdef', b: 'abcdefghij' }, ['abcdef', 'abcdefghij'])
    expect(text).not.toMatch(/abc|ghij/)
  })

  test('lets words of fewer than six letters stand: striking them out would tear every line', () => {
    expect(logged({ event: 'event' }, ['even', ''])).toContain('"event":"event"')
  })

  test('takes a secret for text, not for a pattern', () => {
    const secret = '$&.*+?^${}()|[]'
    expect(JSON.parse(logged({ event: 'x', text: `a ${secret} b` }, [secret]))).toMatchObject({
      text: 'a *** b',
    })
    expect(JSON.parse(logged({ event: 'x', text: 'unharmed' }, ['......']))).toMatchObject({
      text: 'unharmed',
    })
  })

  test('cuts a line that would be too long for the platform, after the secrets are out of it', () => {
    const filler = Array.from({ length: 15 }, () => 'y'.repeat(490))
    for (let before = 350; before < 450; before++) {
      const text = logged({ event: 'x', filler, last: 'y'.repeat(before), key: KEY, more: filler })
      expect(text).toHaveLength(8001)
      expect(text.endsWith('\n')).toBe(true)
      expect(text).not.toContain('Zq7')
    }
  })
})

describe('what the log may know of an error', () => {
  test('is its name, code, message and where it was thrown', () => {
    const error = Object.assign(new TypeError('wrong'), { code: 'E_WRONG', sql: 'select secret', host: 'h' })
    const told = describeError(error)
    expect(told).toMatchObject({ name: 'TypeError', code: 'E_WRONG', message: 'wrong' })
    expect(Object.keys(told).sort()).toEqual(['at', 'code', 'message', 'name'])
    expect(told['at']).toEqual(expect.arrayContaining([expect.stringContaining('log.test.ts')]))
    expect((told['at'] as string[]).length).toBeLessThanOrEqual(3)
  })

  test('goes down the chain of causes, five deep at most, and place only for the first', () => {
    let error = new Error('0')
    for (let depth = 1; depth < 9; depth++) error = new Error(String(depth), { cause: error })
    const messages: unknown[] = []
    for (let told: Record<string, unknown> | undefined = describeError(error); told;) {
      messages.push(told['message'])
      if (messages.length > 1) expect(told).not.toHaveProperty('at')
      told = told['cause'] as Record<string, unknown> | undefined
    }
    expect(messages).toEqual(['8', '7', '6', '5', '4'])
  })

  test('ends for an error that causes itself', () => {
    const error = new Error('ring')
    error.cause = error
    expect(() => JSON.stringify(describeError(error))).not.toThrow()
  })

  test.each([
    ['a text', 'secret text', 'string'],
    ['an object', { message: 'secret' }, 'object'],
    ['null', null, 'object'],
    ['undefined', undefined, 'undefined'],
    ['a number', 7, 'number'],
  ])('is its type only when %s was thrown', (_what, thrown, type) => {
    expect(describeError(thrown)).toEqual({ name: type })
  })

  test.each([7, 'E7'])('keeps the code %p', (code) => {
    expect(describeError(Object.assign(new Error('x'), { code }))).toMatchObject({ code })
  })

  test.each([{ secret: 1 }, null, undefined, true])('drops the code %p', (code) => {
    expect(describeError(Object.assign(new Error('x'), { code }))).not.toHaveProperty('code')
  })

  test('keeps a long message short', () => {
    const line = logged({ event: 'x', cause: describeError(new Error('m'.repeat(100_000))) }, [])
    expect(line.match(/m+/g)!.every((run) => run.length <= 500)).toBe(true)
  })
})

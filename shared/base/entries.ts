import { Secret } from './secrets'

export type FaultSink = (name: string, why: string) => unknown

/** One entry of a JSON list in a variable; what is wrong is told by place and member, never by value. */
export type Entry = ReturnType<typeof readEntries>[number]

/** A JSON list, entry by entry. */
export function readEntries(value: string | undefined, name: string, fault: FaultSink) {
  if (!value) return []
  let given: unknown
  try {
    given = JSON.parse(value)
  } catch {
    given = undefined
  }
  if (!Array.isArray(given)) {
    fault(name, 'must be a JSON list')
    return []
  }
  return (given as unknown[]).map((one, at) => {
    const members = (typeof one === 'object' && one !== null ? one : {}) as Record<string, unknown>
    const say = (why: string) => fault(name, `${why} in entry ${at + 1}`)
    const refuse = (member: string) => say(`has no usable ${member}`)
    return {
      say,
      refuse,
      optional: (member: string): unknown => members[member],
      text(member: string, pattern: RegExp): string {
        const text = members[member]
        if (typeof text === 'string' && pattern.test(text)) return text
        refuse(member)
        return ''
      },
      oneOf<const T extends string>(member: string, values: readonly T[]): T {
        const found = values.find((each) => each === members[member])
        if (found === undefined) refuse(member)
        return found ?? values[0]!
      },
    }
  })
}

/** A secret of ours for HMAC or sealing. Of several the first is used for what is new; all of them are good for what there is. */
export type NamedKey = { name: string; secret: Secret }

export const KEY_NAME = /^[0-9A-Za-z_.-]{1,32}$/
/** 32 characters of anything visible, which a generator fills with more than 128 bits. */
export const KEY_SECRET = /^[!-~]{32,256}$/

export function readNamedKeys(value: string | undefined, name: string, fault: FaultSink): NamedKey[] {
  const keys = readEntries(value, name, fault).map((entry): NamedKey => ({
    name: entry.text('name', KEY_NAME),
    secret: new Secret(entry.text('secret', KEY_SECRET)),
  }))
  refuseTwice(
    name,
    'name',
    keys.map((key) => key.name),
    fault,
  )
  return keys
}

export function refuseTwice(name: string, member: string, values: readonly string[], fault: FaultSink): void {
  const filled = values.filter((value) => value !== '')
  if (new Set(filled).size < filled.length) fault(name, `has one ${member} twice`)
}

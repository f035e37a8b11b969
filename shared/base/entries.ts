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

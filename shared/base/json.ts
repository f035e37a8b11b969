/** Deeper than any request of ours, far below what would hurt. */
const DEPTH_MAX = 16
/** A name in an answer, of a caller who may have made it 64 KB long. */
const FIELD_MAX = 200

export type StrictJson =
  | { ok: true; value: unknown }
  | { ok: false; code: 'not_json' | 'duplicate_key' | 'forbidden_key' | 'too_deep'; field: string }

/**
 * JSON from a stranger. Beyond the grammar it refuses what two readers could understand differently: a name given
 * twice, names every object has by birth (`__proto__`, `constructor` …), and nesting without end.
 */
export function parseStrictJson(text: string): StrictJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, code: 'not_json', field: '' }
  }
  return findTrap(text) ?? { ok: true, value }
}

type Open = { names: Set<string> | undefined; name: string; index: number }

/** Walks a text that is known to be valid JSON and keeps only the names of the objects it is in. */
function findTrap(text: string): StrictJson | undefined {
  const open: Open[] = []
  const field = (last: string) =>
    [...open.slice(0, -1).map(({ names, name, index }) => (names ? name : String(index))), last]
      .join('.')
      .slice(0, FIELD_MAX)

  for (let at = 0; at < text.length; at++) {
    const top = open[open.length - 1]
    switch (text[at]) {
      case '{':
      case '[':
        if (open.length === DEPTH_MAX) return { ok: false, code: 'too_deep', field: '' }
        open.push({ names: text[at] === '{' ? new Set() : undefined, name: '', index: 0 })
        break
      case '}':
      case ']':
        open.pop()
        break
      case ',':
        if (top) top.index++
        break
      case '"': {
        const end = endOfString(text, at)
        let next = end
        while (/\s/.test(text[next] ?? '')) next++
        if (top?.names && text[next] === ':') {
          const name = JSON.parse(text.slice(at, end)) as string
          if (name in Object.prototype) return { ok: false, code: 'forbidden_key', field: field(name) }
          if (top.names.has(name)) return { ok: false, code: 'duplicate_key', field: field(name) }
          top.names.add(name)
          top.name = name
        }
        at = end - 1
        break
      }
      default:
    }
  }
  return undefined
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

import { inspect } from 'node:util'

/**
 * What must be seen nowhere, and where it was seen. Every suite runs with this (see watch.ts): secrets register when they
 * are revealed, payers' ids, tokens, codes and session keys where they are made or come in; every line of the log, every
 * error, address and returned value of a handler is looked through, and a test in which one shows fails.
 */
export type What = 'secret' | 'payer' | 'token' | 'client secret' | 'code' | 'session key' | 'quote'
export type Where = 'log' | 'error' | 'return value' | 'URL'
export type Leak = { what: What; where: Where; shown: string }

type Hidden = { what: What; spellings: string[] }

/** Outlives modules that a test loads anew. */
type Book = { hidden: Map<string, Hidden>; leaks: Leak[]; sizes: Partial<Record<Where, number>> }
const shared = globalThis as unknown as { leakBook?: Book }
const book: Book = (shared.leakBook ??= { hidden: new Map(), leaks: [], sizes: {} })

/** Shorter ones are words of their own: finding them would tear every line. */
const LENGTH_MIN = 12
/** A leak is of who is there just now; a hundred thousand random payers would take hours to look for. */
const KEPT = 150

/**
 * What may be seen where, and why. Everything else may not.
 *
 * - the token in the answer of `POST /session`: half of a credential; the other half is the client's and comes back from nowhere
 * - an app's secret and a login code in the address of WeChat's API: WeChat takes them there and nowhere else
 * - names of files of SQLite: they are no secret, and the machine prints them
 *
 * `jsapi_args` are meant for the payer and hold none of what is looked for.
 */
const isAllowed = (what: What, where: Where, context: string): boolean =>
  (where === 'return value' && what === 'token' && context === 'POST /session 201') ||
  (where === 'URL' &&
    (what === 'secret' || what === 'code') &&
    /\/wechat\/|api\.weixin\.qq\.com\//.test(context))

export function hide(what: What, text: unknown): void {
  if (typeof text !== 'string' || text.length < LENGTH_MIN || text.startsWith('sqlite:')) return
  // Random ids may be a name that every object has, or one letter over and over.
  if (text in Object.prototype || new Set(text).size < 5) return
  const known = book.hidden.get(text)
  book.hidden.delete(text)
  const inJson = JSON.stringify(text).slice(1, -1)
  const spellings = known?.spellings ?? [
    ...new Set([
      text,
      inJson,
      JSON.stringify(inJson).slice(1, -1),
      /\p{Surrogate}/u.test(text) ? text : encodeURIComponent(text),
    ]),
  ]
  book.hidden.set(text, { what, spellings })
  if (book.hidden.size > KEPT) for (const oldest of book.hidden.keys()) return void book.hidden.delete(oldest)
}

export function look(where: Where, text: string, context = ''): void {
  book.sizes[where] = (book.sizes[where] ?? 0) + 1
  for (const { what, spellings } of book.hidden.values()) {
    const found = spellings.find((spelling) => text.includes(spelling))
    if (found === undefined || isAllowed(what, where, context)) continue
    const at = text.indexOf(found)
    book.leaks.push({ what, where, shown: text.slice(Math.max(0, at - 100), at + found.length + 20) })
  }
}

/** All that a careless `console.error` would print of it: name, message, stack, members, and the same of its causes. */
export function lookAtError(error: unknown): void {
  // Most refusals are a code and nothing else; ten thousand of them need not be drawn.
  const members = typeof error === 'object' && error !== null ? Object.values(error) : []
  const plain =
    error instanceof Error &&
    error.cause === undefined &&
    members.every((one) => typeof one === 'string' || Object.keys(Object(one) as object).length === 0)
  look('error', plain ? [error.message, ...members].join(' ') : inspect(error, { depth: 6 }))
}

/** What was found since it was asked last. */
export const takeLeaks = (): Leak[] => book.leaks.splice(0)

/** How much was looked through, by place. */
export const lookedThrough = (): Readonly<Partial<Record<Where, number>>> => book.sizes

/** For after each test. */
export function noLeaks(): void {
  const leaks = takeLeaks()
  if (leaks.length === 0) return
  const lines = leaks.slice(0, 5).map(({ what, where, shown }) => `a ${what} in a ${where}: …${shown}`)
  throw new Error(`${leaks.length} leaks\n${lines.join('\n')}`)
}

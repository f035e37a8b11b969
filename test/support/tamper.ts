import { createHmac } from 'node:crypto'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import type { Post } from '../../shared/net/post'

/** Signs as Cloud Pay would, written out anew so that it cannot agree with a mistake of ours. */
export function sign(content: string, key: string = SANDBOX_MERCHANT.authen_key): string {
  return createHmac('sha256', key).update(content, 'utf8').digest('hex').toUpperCase()
}

export const sealedAnswer = (content: unknown, key?: string): Buffer => {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return Buffer.from(
    JSON.stringify({
      response_content: text,
      authen_info: { a: { authen_type: 1, authen_code: sign(text, key) } },
    }),
  )
}

/** As Cloud Pay sends notifications: an answer's code around what looks like a request. */
export const sealedNotification = (content: unknown, key?: string): Buffer => {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return Buffer.from(
    JSON.stringify({
      request_content: text,
      authen_info: { a: { authen_type: 1, authen_code: sign(text, key) } },
    }),
  )
}

/** The text somebody signed, out of its envelope. */
export const signedText = (bytes: Buffer | string): string => {
  const outer = JSON.parse(bytes.toString()) as { request_content?: string; response_content?: string }
  return (outer.request_content ?? outer.response_content)!
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- contents are taken apart freely
export type Content = any

/** A far end that lies with the right key: changes the content of answers and signs them again. */
export const lying =
  (change: (content: Content, suffix: string) => void) =>
  (post: Post): Post =>
  async (url, body, options) => {
    const answer = await post(url, body, options)
    const outer = JSON.parse(answer.body.toString('utf8')) as { response_content: string }
    const content = JSON.parse(outer.response_content)
    change(content, url.slice(url.lastIndexOf('/') + 1))
    return { status: answer.status, body: sealedAnswer(content) }
  }

/** Sets, or with `undefined` removes, a member by its dotted path. */
export function put(content: Content, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop()!
  const node = names.reduce<Content>((at, name) => (at[name] ??= {}), content)
  if (value === undefined) delete node[last]
  else node[last] = value
}

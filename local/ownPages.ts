import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback } from '../shared/base/config'

/**
 * Whether whoever asks a port of this machine meant it: by one of its loopback names, which a name that was rebound to its
 * address is not, and from a page of this machine or from no page at all. Any web page that is open in a browser here could
 * ask otherwise.
 */
export function isMeantForUs({ host, origin }: IncomingHttpHeaders): boolean {
  return isOwnName(`http://${host ?? ''}`) && (origin === undefined || isOwnName(origin))
}

const isOwnName = (url: string): boolean => URL.canParse(url) && isLoopback(new URL(url).hostname)

/** The answer to anybody else, in both languages. */
export const NOT_MEANT_FOR_US = JSON.stringify({
  error: {
    en: 'This port answers to localhost and 127.0.0.1, and to pages from there.',
    zh: '本端口只回应以 localhost 或 127.0.0.1 访问、并且来自本机页面的请求。',
  },
})

import { readRoutes } from '../routes'
import { describeApi } from './document'
import { errorPage } from './errorPage'

/** A page of the gateway's own, beside what the functions serve. */
export type Page = { status: number; headers: Record<string, string>; body: string }

/** By path; made when it is asked for. */
export const describedPages = (root: string, origin: () => string): Record<string, () => Page> => ({
  '/openapi.json': () => {
    const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }
    try {
      return { status: 200, headers, body: describedText(root, origin()) }
    } catch (error) {
      // A route nobody has described yet: the rest of the machine works all the same.
      return { status: 500, headers, body: JSON.stringify({ error: (error as Error).message }) }
    }
  },
  '/errors': () => ({ status: 200, ...errorPage() }),
})

export const describedText = (root: string, server: string): string =>
  `${JSON.stringify(describeApi(readRoutes(root), server), null, 1)}\n`

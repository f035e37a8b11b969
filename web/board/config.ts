import type { OperatorUrls } from '../client/operator'

/** What `npm run web` builds into the page. Every visitor sees it: there is no place for a key in it. */
export type BoardConfig = { api: OperatorUrls }

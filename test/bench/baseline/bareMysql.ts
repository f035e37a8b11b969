import { openDb, words } from './mysqlDb'
import { handler } from './order'

/** For warm runs: the post, the statements, two HMACs and the JSON, without a single check. */
export const main_handler = handler(openDb, words, false)

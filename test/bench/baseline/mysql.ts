import { openDb, words } from './mysqlDb'
import { handler } from './order'

export const main_handler = handler(openDb, words)

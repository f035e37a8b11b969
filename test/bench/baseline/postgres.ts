import { openDb, words } from './postgresDb'
import { handler } from './order'

export const main_handler = handler(openDb, words)

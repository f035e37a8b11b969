import { openDb, words } from '../baseline/postgresDb'
import { moveBare } from './moveBare'

export const batch = moveBare(openDb, words)

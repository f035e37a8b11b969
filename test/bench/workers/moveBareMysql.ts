import { openDb, words } from '../baseline/mysqlDb'
import { moveBare } from './moveBare'

export const batch = moveBare(openDb, words)

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMissing } from '../support/missing'
import {
  findMariadb,
  findPostgres,
  openSession,
  startMariadb,
  startPostgres,
  type Server,
} from '../support/servers'
import { openFile, type Kind } from './ready'

/** Describes the same contracts for a store on each database there is: on SQLite always, on a server if installed. */
export function describeKinds(contracts: (kind: Kind) => void): void {
  describe('a store on SQLite', () => {
    const dir = mkdtempSync(join(tmpdir(), 'store-'))
    afterAll(() => rmSync(dir, { recursive: true, force: true }))
    let files = 0
    const freshDatabase = async () => `sqlite:${join(dir, `${++files}.db`)}`
    contracts({ dialect: 'sqlite', start: async () => ({ freshDatabase, openSession: openFile }) })
  })

  const servers = [
    { name: 'MariaDB', dialect: 'mysql', found: findMariadb(), launch: startMariadb },
    { name: 'PostgreSQL', dialect: 'postgres', found: findPostgres(), launch: startPostgres },
  ] as const

  describe.each(servers)('a store on $name', ({ name, dialect, found, launch }) => {
    if (isMissing(name, found)) return
    let starting: Promise<Server> | undefined
    afterAll(async () => (await starting)?.stop())
    const start = async () => {
      const { freshDatabase } = await (starting ??= launch())
      return { freshDatabase, openSession }
    }
    contracts({ dialect, start })
  })
}

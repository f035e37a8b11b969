import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Dialect } from '../../shared/base/databaseUrl'
import { findMariadb, findPostgres } from '../support/servers'
import { dependencies } from './package.json'

export const PEERS_FOLDER = join(__dirname, 'node_modules')

export type Peer = keyof typeof dependencies
export type ServerDialect = Exclude<Dialect, 'sqlite'>

export type Present = {
  servers: readonly ServerDialect[]
  peers: readonly Peer[]
  leftOut: readonly string[]
}

const SERVERS: Record<ServerDialect, { name: string; find: () => string | undefined }> = {
  mysql: { name: 'MariaDB', find: findMariadb },
  postgres: { name: 'PostgreSQL', find: findPostgres },
}

/** What there is to measure with. What there is not is named, and REQUIRE_SERVERS=1 and REQUIRE_PEERS=1 refuse that. */
export function lookAround(wantsPeers: boolean): Present {
  const all = Object.keys(SERVERS) as ServerDialect[]
  const servers = all.filter((dialect) => SERVERS[dialect].find() !== undefined)
  const everyPeer = wantsPeers ? (Object.keys(dependencies) as Peer[]) : []
  const peers = everyPeer.filter((name) => existsSync(join(PEERS_FOLDER, name)))
  const absent = (what: string, variable: string): string => {
    if (process.env[variable] === '1') throw new Error(`${what}, and ${variable}=1 asks for it`)
    return what
  }
  const leftOut = [
    ...all
      .filter((dialect) => !servers.includes(dialect))
      .map((dialect) =>
        absent(`everything with ${dialect}: ${SERVERS[dialect].name} is not installed`, 'REQUIRE_SERVERS'),
      ),
    ...everyPeer
      .filter((name) => !peers.includes(name))
      .map((name) =>
        absent(
          `what is compared with ${name}: it is not installed (npm ci --prefix test/bench)`,
          'REQUIRE_PEERS',
        ),
      ),
  ]
  for (const one of leftOut) console.log(`left out: ${one}`)
  return { servers, peers, leftOut }
}

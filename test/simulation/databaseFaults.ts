import type { Wire } from '../../shared/store/connection'
import type { Server } from './database'
import type { DatabaseFault } from './faults'
import type { Owner } from './scheduler'
import type { World } from './world'

/**
 * The way from one instance to the database. A transaction is one indivisible step: the instance waits before BEGIN
 * and after COMMIT and nowhere between, and a statement on its own likewise.
 */
export async function openWire(world: World, server: Server, owner: Owner): Promise<Wire> {
  const { scheduler, dice } = world
  await scheduler.park(owner, 'connects to the database', world.latency())
  if (fault('db refused')) throw socketError('ECONNREFUSED')
  let alive = true
  /** The instance's connection broke without its knowing: the next words find out. */
  let stale = false
  let mine = false

  world.connected(owner, {
    freeze() {
      if (dice.chance(world.luck.database)) stale = true
    },
    hangUp,
  })

  /** Nobody is there any more: the server undoes what was not committed. */
  function hangUp(): void {
    alive = false
    if (mine) server.rollback()
    if (mine) end()
  }

  function fault(name: DatabaseFault): boolean {
    if (!dice.chance(name === 'db failover' ? world.luck.failover : world.luck.database)) return false
    world.sawFault(owner, name)
    return true
  }

  function broken(): never {
    alive = false
    throw socketError('ECONNRESET')
  }

  async function arrive(what: string): Promise<void> {
    if (!alive) broken()
    await scheduler.park(owner, what, world.latency())
    if (stale) {
      world.sawFault(owner, 'db stale')
      broken()
    }
  }

  async function begin() {
    await arrive('BEGIN')
    // Given up while it waited: nobody will send the rest.
    if (!alive) broken()
    if (fault('db lost before commit')) broken()
    if (fault('db busy')) throw busy()
    if (world.inTransaction) throw new Error('two transactions at once: the simulator is wrong')
    server.begin()
    mine = world.inTransaction = true
    return NOTHING
  }

  function end(): void {
    mine = world.inTransaction = false
  }

  async function commit() {
    if (!mine) broken()
    if (fault('db deadlock')) {
      server.rollback()
      end()
      throw busy()
    }
    const undone = fault('db lost before commit') || fault('db lost commit undone')
    if (undone) server.rollback()
    else server.commit()
    end()
    if (fault('db failover')) world.failOver(owner)
    if (!undone && fault('db silent')) {
      // Longer than the client waits. It has happened, and the answer will find nobody.
      await scheduler.park(owner, 'COMMIT, no answer', 60_000)
    }
    await scheduler.park(owner, undone ? 'COMMIT is lost' : 'COMMIT', world.latency())
    if (undone || fault('db lost commit kept')) broken()
    return NOTHING
  }

  async function alone(sql: string, parameters: readonly unknown[]) {
    const reads = /^select/i.test(sql)
    await arrive(reads ? 'SELECT' : 'one statement')
    if (!alive) broken()
    if (!reads && fault('db deadlock')) throw busy()
    if (fault('db lost before commit')) broken()
    const silent = fault('db silent')
    if (silent && (reads || dice.chance(0.5))) {
      await scheduler.park(owner, 'a statement nobody waits for', 60_000)
    }
    const said = server.run(sql, parameters)
    if (!reads && fault('db failover')) world.failOver(owner)
    if (!reads)
      await scheduler.park(owner, silent ? 'done, no answer' : 'done', silent ? 60_000 : world.latency())
    if (!reads && fault('db lost commit kept')) broken()
    return said
  }

  return {
    async query(sql, parameters) {
      if (sql.startsWith('PRAGMA')) return NOTHING
      if (sql.startsWith('BEGIN')) return begin()
      if (sql === 'COMMIT') return commit()
      if (sql === 'ROLLBACK') {
        if (mine) server.rollback()
        if (mine) end()
        return NOTHING
      }
      if (!mine) return alone(sql, parameters)
      world.tell(owner, () => `    ${sql.slice(0, 60)} …`)
      return server.run(sql, parameters)
    },
    isAlive: () => alive,
    destroy: hangUp,
    end: async () => void (alive = false),
  }
}

const NOTHING = { rows: [], affected: 0 }

const socketError = (code: string) => Object.assign(new Error(code), { code })
const busy = () => Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })

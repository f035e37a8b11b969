import type { Edit } from '../support/planting'

/**
 * Guards, broken: `RACE_PLANT=name npx jest test/races` builds the actors with one of these, and the race it names has
 * to fail. A race that nobody can lose proves nothing.
 *
 * Most guards stand before another (an event's key before the row's version, a message's id before that), so breaking
 * one alone doubles nothing: then the race fails because the losers it counts are not there. To see money doubled, all
 * that stand in a row have to go.
 */
type Plant = { race: string; edits: Edit[] }

const NO_VERSION: Edit = {
  file: 'shared/store/orders.ts',
  find: `      .where('version', '=', given.version)
      .where('state', '=', given.state)
  },`,
  replace: '  },',
}

export const PLANTS: Record<string, Plant> = {
  /** Whoever comes late would overwrite what the first has decided; only the event's key is in the way. */
  move_without_version: { race: 'one order', edits: [NO_VERSION] },
  /** Nothing is in the way any more. */
  move_without_any_guard: {
    race: 'one order',
    edits: [
      NO_VERSION,
      {
        file: 'shared/store/orders.ts',
        find: `  await say(eventRow(store, order, seq, { ...event, from: order.state, to }))`,
        replace: `  await say(eventRow(store, order, seq + Math.ceil(Math.random() * 1e8), { ...event, from: order.state, to }))`,
      },
      {
        file: 'shared/store/beside.ts',
        find: `id: messageId(message, out_sub_mch_id),`,
        replace: `id: messageId(message, out_sub_mch_id) + String(Math.random()),`,
      },
    ],
  },
  /** Two runs have the same order in hand. */
  claim_without_guard: {
    race: 'due orders',
    edits: [
      {
        file: 'shared/store/due.ts',
        find: `    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', '=', given.next_due_at_ms),`,
        replace: `    .where('out_trade_no', '=', given.out_trade_no)
    .where('next_due_at_ms', '>', 0),`,
      },
    ],
  },
  /** A lost answer to COMMIT is taken for a commit. */
  commit_believed: {
    race: 'commits',
    edits: [
      {
        file: 'shared/store/transaction.ts',
        find: `    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {`,
        replace: `    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {
    if ((error as Error).name === 'CommitUnknown') return 'done'`,
      },
    ],
  },
  /** The same transaction is run again after a lost answer to COMMIT, and nothing in it says as of when. */
  commit_again: {
    race: 'commits',
    edits: [
      {
        file: 'shared/store/transaction.ts',
        find: `    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {`,
        replace: `    await store.connection.inTransaction(work)
    return 'done'
  } catch (error) {
    if ((error as Error).name === 'CommitUnknown') return write(store, work)`,
      },
      NO_VERSION,
      {
        file: 'shared/store/orders.ts',
        find: `  await say(eventRow(store, order, seq, { ...event, from: order.state, to }))`,
        replace: `  await say(eventRow(store, order, seq + Math.ceil(Math.random() * 1e8), { ...event, from: order.state, to }))`,
      },
    ],
  },
}

export function editsOf(name: string | undefined): readonly Edit[] {
  if (name === undefined || name === '') return []
  const plant = PLANTS[name]
  if (!plant) throw new Error(`RACE_PLANT is one of ${Object.keys(PLANTS).join(', ')}`)
  return plant.edits
}

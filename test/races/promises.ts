import type { Sandbox } from '../../local/sandbox/sandbox'
import { violations, type Evidence, type Row } from '../simulation/invariants'
import type { Session } from '../support/servers'
import { rows } from './stage'

/** What the simulation holds the code to, of rows on a real server. */
export async function brokenPromises(
  session: Session,
  sandbox: Sandbox,
  more: Partial<Omit<Evidence, 'query' | 'ledger'>> = {},
): Promise<string[]> {
  const answers = new Map<string, Row[]>()
  for (;;) {
    // It asks synchronously, and a server does not answer so: whatever it turns out to ask is fetched, until it asks
    // for nothing more.
    const open = new Set<string>()
    const found = violations({
      received: sandbox.received,
      transmissions: new Map(),
      duplicated: new Set(),
      squatted: new Set(),
      paidInTime: new Set(),
      told: undefined,
      acknowledged: [],
      prefixes: new Map(),
      forgot: false,
      ...more,
      ledger: sandbox.ledger(),
      query: (sql) => answers.get(sql) ?? (open.add(sql), []),
    })
    if (open.size === 0) return found
    for (const sql of open) answers.set(sql, await rows(session, sql))
  }
}

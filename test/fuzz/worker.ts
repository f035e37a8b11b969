import { writeSync } from 'node:fs'
import type { Profiler } from 'node:inspector'
import { createLogins } from '../../local/sandbox/logins'
import { peopleEnv } from '../../local/sandbox/people'
import { sandboxEnv } from '../../local/sandbox/env'
import { SANDBOX_MERCHANT } from '../../shared/base/config'
import { systemRandom } from '../../shared/base/random'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openStore } from '../../shared/store/open'
import { play, type Played } from './play'
import { ALSO_ACCEPTED, targets } from './targets'

export type Asked = { seed: number; runs: number }
export type Told = { played: Played[]; covers: string[]; coverage: Profiler.ScriptCoverage }

/** What an input costs is the processor's time; how long others hold this machine is none of its business. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** The process that fuzzes: one line every few seconds to say that it lives, and one at the end with everything. */
export async function work(
  { seed, runs }: Asked,
  takeCoverage: () => Profiler.ScriptCoverage,
): Promise<void> {
  const store = openStore({ dialect: 'sqlite', url: new Secret('sqlite::memory:') }, systemClock)
  await migrate(store)
  const { out_sub_mch_id } = SANDBOX_MERCHANT
  const article = { out_sub_mch_id, body: 'tea', total_fee: 1880, quantity_max: 3 }
  await store.db
    .insertInto('catalogue')
    .values([
      { ...article, sku: 'tea', active: 1 },
      { ...article, sku: 'gone', active: 0 },
    ])
    .execute()
  const logins = createLogins({ clock: systemClock, random: systemRandom })
  const env = {
    ...sandboxEnv('http://127.0.0.1:1/cpay/', 'sqlite::memory:', '127.0.0.1'),
    ...peopleEnv('http://127.0.0.1:1', logins),
    CALLERS: '',
    CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED: ALSO_ACCEPTED,
    LOGINS_PER_ADDRESS: '100000',
    LOGINS_PER_MINUTE: '1000000',
  }
  const all = targets({ store, env })
  const weights = all.reduce((sum, { weight }) => sum + weight, 0)
  const played: Played[] = []
  let spokeMs = performance.now()
  for (const [at, target] of all.entries()) {
    // Said before it begins: when nothing more is heard, this is the one.
    writeSync(1, `at ${target.name}\n`)
    const beat = () => {
      const nowMs = performance.now()
      if (nowMs - spokeMs < 2000) return
      spokeMs = nowMs
      writeSync(1, '.\n')
    }
    const executions = Math.ceil((runs * target.weight) / weights)
    played.push(await play(target, { seed: seed + at, executions, nowMs: cpuMs, beat }))
  }
  const covers = [...new Set(all.flatMap((target) => target.covers))]
  const told: Told = { played, covers, coverage: takeCoverage() }
  writeSync(1, `told ${JSON.stringify(told)}\n`)
  await store.close()
}

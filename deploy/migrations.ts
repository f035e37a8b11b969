import type { ControlPlane } from './controlPlane'
import { DeployFault } from './fault'
import { invoke } from './invoke'

/** The new code must not serve before its tables are there; the old code gets along with the new ones. */
export async function migrateFirst(
  call: ControlPlane,
  options: { namespace: string; name: string; version: string; apply: boolean; say: (line: string) => void },
): Promise<void> {
  const { namespace, name, version, apply, say } = options
  const ask = async (order: 'status' | 'apply') => {
    try {
      const { value } = await invoke(call, namespace, name, version, { do: order })
      return value as { pending?: string[]; applied?: string[] }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new DeployFault(
        `Nothing was switched over, because the migrations cannot be looked at: ${why.replace(/\.$/, '')}. Mend it and run this again.`,
        'MIGRATIONS_UNKNOWN',
      )
    }
  }
  const pendingNow = async () => {
    const { pending } = await ask('status')
    if (Array.isArray(pending)) return pending
    throw new DeployFault(
      'Nothing was switched over: migrate did not say what is pending.',
      'MIGRATIONS_UNKNOWN',
    )
  }
  const pending = await pendingNow()
  if (pending.length === 0) return
  if (!apply)
    throw new DeployFault(
      `Nothing was switched over, because migrations are pending: ${pending.join(', ')}. Run sls deploy --migrate.`,
      'MIGRATIONS_PENDING',
    )
  say(`Migrating: ${pending.join(', ')}`)
  await ask('apply')
  const left = await pendingNow()
  if (left.length > 0)
    throw new DeployFault(
      `Nothing was switched over: ${left.join(', ')} is still pending after migrating. See the log of migrate.`,
      'MIGRATIONS_PENDING',
    )
}

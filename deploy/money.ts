import type { ControlPlane } from './controlPlane'
import { DeployFault } from './fault'
import { invoke } from './invoke'
import type { Actual } from './actual'
import { DEFAULT_ALIAS, MIGRATE, type Service } from './service'

export type Open = { orders: number; refunds: number; messages: number }

/**
 * Stops whatever would leave open orders, refunds or undelivered messages to nobody. Not being able to count them is no
 * reason to believe that there are none.
 */
export async function refuseOpenMoney(
  call: ControlPlane,
  service: Service,
  actual: Actual,
  reasons: readonly string[],
): Promise<void> {
  const consequence = `${reasons.join(', ')}: nobody would look after what is open`
  const way = 'or say --abandon-open-money to leave it to yourself'
  let open: Open
  try {
    open = await countOpen(call, service, actual)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new DeployFault(
      `Refused, because ${consequence}, and it cannot be counted (${why}). Make migrate answer, ${way}.`,
      'OPEN_MONEY_UNCOUNTED',
    )
  }
  const { orders, refunds, messages } = open
  if (orders + refunds + messages === 0) return
  throw new DeployFault(
    `Refused, because ${consequence}: ${orders} orders, ${refunds} refunds and ${messages} undelivered messages are ` +
      `open. Wait until they are settled, ${way}.`,
    'OPEN_MONEY',
  )
}

async function countOpen(call: ControlPlane, service: Service, actual: Actual): Promise<Open> {
  const migrate = actual.functions.find(({ key, ours }) => key === MIGRATE && ours)
  if (!migrate) throw new Error('the function migrate is not deployed')
  const answer = await invoke(call, service.namespace, migrate.name, DEFAULT_ALIAS, { do: 'count' })
  const open = (answer.value as { open?: Partial<Open> } | null)?.open
  const { orders, refunds, messages } = open ?? {}
  const counted = [orders, refunds, messages].every((count) => Number.isInteger(count) && count! >= 0)
  if (!counted) throw new Error('migrate gave no numbers')
  return open as Open
}

import { readActual } from './actual'
import { removeFunction, type Work } from './apply'
import { refuseOpenMoney } from './money'
import { MIGRATE, NOTIFY } from './service'

/**
 * First what lets new orders in, then what looks after them, and what counts them at the very end: so an interrupted
 * removal is continued with the same question.
 */
const LAST = [NOTIFY, 'timer', MIGRATE]

/** Takes everything of this stage away. */
export async function remove(
  work: Work,
  options: { abandonOpenMoney: boolean; confirm: (names: string[]) => Promise<void> },
): Promise<string[]> {
  const { call, service, say } = work
  say('Reading what is there')
  const actual = await readActual(call, service)
  const functions = actual.functions
    .filter(({ ours }) => ours)
    .sort((a, b) => LAST.indexOf(a.key) - LAST.indexOf(b.key))
  if (functions.length === 0) return []
  const names = new Set(functions.map(({ name }) => name))
  const domains = actual.domains.filter(
    ({ endpoints }) => endpoints.length > 0 && endpoints.every(({ functionName }) => names.has(functionName)),
  )
  if (!options.abandonOpenMoney) {
    await refuseOpenMoney(call, service, actual, ['the timer and the notify URL are removed'])
  }
  await options.confirm([...domains.map(({ domain }) => domain), ...names])
  for (const { domain } of domains) {
    say(`Removing ${domain}`)
    await call('DeleteCustomDomain', { Domain: domain })
  }
  for (const { name } of functions) {
    say(`Removing ${name}`)
    await removeFunction(work, name)
  }
  return [...names]
}

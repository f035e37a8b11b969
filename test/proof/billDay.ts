import { playBillDay } from '../support/billDay'

/**
 * The bill of one day of a thousand sub-merchants with a hundred thousand orders in all is compared within the day after it,
 * every order of it, by runs 20 s apart on a clock that every call and every statement moves on. Exits with 1 if it is not.
 */
const MERCHANTS = 1000
const ORDERS = 100_000
const DAY_S = 86_400

async function main(): Promise<void> {
  const end = await playBillDay({ merchants: MERCHANTS, orders: ORDERS, say: (line) => console.log(line) })
  const { tookS, runs, calls, statements, windows, left, unseen, untold, others } = end
  console.log(
    `${MERCHANTS} sub-merchants, ${ORDERS} orders: ${windows} windows compared by ${runs} runs in ${Math.round(tookS)} s of the day, ` +
      `with ${calls} calls and ${statements} statements.`,
  )
  console.log(
    `${left} windows left, ${unseen.length} orders in no page; of ${MERCHANTS} broken orders ${untold.length} not told, ` +
      `and ${others.length} that were not broken.`,
  )
  const isWhole = left + unseen.length + untold.length + others.length === 0
  if (!isWhole || tookS >= DAY_S) process.exitCode = 1
}

void main()

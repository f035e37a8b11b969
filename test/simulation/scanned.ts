import { AUTHOR_CODES } from '../../local/sandbox/switches'
import type { Person, Purchase } from './people'
import type { World } from './world'

/** micro_pay: the shop scans the payer's code. What becomes of it, its last four digits say. */
const ENDS = [
  ...Object.keys(AUTHOR_CODES),
  '0099',
  '0099',
  '0003',
  '0104',
  '4071',
  '4071',
  '4071',
  '5555',
  '5555',
]

/** By what its create is answered, and when it is decided. */
export const SCANNED = [
  'a code that pays at once',
  'a code that is decided later',
  'a code that is never decided',
  'a code answered 3',
  'a code answered 104',
  'a code answered 407',
] as const

function happening(end: string): (typeof SCANNED)[number] {
  const script = AUTHOR_CODES[end]
  if (!script) return 'a code that pays at once'
  if (script.answer !== 'state') return `a code answered ${script.answer}`
  return script.undecidedS === Infinity ? 'a code that is never decided' : 'a code that is decided later'
}

export function scannedPurchase(world: World, purchase: Purchase): Purchase {
  const { dice } = world
  const end = dice.pick(ENDS)
  world.coverage.count('scene', happening(end))
  const body = JSON.stringify({
    pay_content: {
      out_trade_no: purchase.number,
      total_fee: purchase.fee,
      body: '湖心-上海人民广场店-大杯',
      author_code: `${purchase.wechat ? 13 : 28}3465011207${dice.between(10, 99)}${end}`,
    },
    pay_mch_key: { pay_platform: purchase.wechat ? 1 : 2 },
    trade_type: 1,
  })
  return { ...purchase, body }
}

/** Decides only where the code leaves it open: for or against it, before the two minutes are over or after them. */
export const scannedPayer: Person = async ({ world, me, purchase, pause }) => {
  const { dice, sandbox } = world
  const { number } = purchase
  for (let patience = 8; !sandbox.orders.has(number); patience--) {
    if (patience === 0) return
    await pause(dice.between(200, 10_000))
  }
  if (sandbox.orders.get(number)!.micro?.script.undecidedS !== Infinity || dice.chance(0.2)) return
  const isLate = dice.chance(0.75)
  await pause(isLate ? dice.between(130_000, 4_000_000) : dice.between(0, 110_000))
  if (isLate) world.coverage.count('scene', 'a payer who decides after the two minutes')
  try {
    if (dice.chance(0.6)) sandbox.pay(number)
    else sandbox.cancel(number)
    world.tell(me, () => 'has decided')
  } catch (refusal) {
    world.tell(me, () => `cannot decide: ${(refusal as Error).message}`)
  }
}

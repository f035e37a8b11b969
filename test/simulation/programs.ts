import { startNotifier } from './notifier'
import {
  closer,
  consoleClerk,
  page,
  payer,
  reader,
  refunder,
  squatter,
  type Person,
  type Purchase,
} from './people'
import { closedPurchase, forger, orderFromCatalogue, repricer } from './closed'
import { keeper } from './keeping'
import type { Instances } from './instances'
import { FIRST, OTHER } from './merchants'
import type { Owner } from './scheduler'
import { scannedPayer, scannedPurchase } from './scanned'
import { runTimer, type Timer } from './timer'
import type { World } from './world'

/**
 * Who does what in one run: drawn by the dice, so that every run has several handlers at work on one order. The
 * timer is there all the time; once everybody else is done and the faults have stopped, it goes on until nothing is
 * due any more.
 */
export type Programs = {
  readonly done: boolean
  timer: Timer
}

export function startPrograms(world: World, instances: Instances): Programs {
  const { dice } = world
  let running = 0

  const start = (name: string, person: Person, purchase: Purchase) => {
    running++
    const me: Owner = { name, dead: false }
    person({ world, instances, me, purchase, pause: (ms) => world.scheduler.park(me, 'goes on', ms) }).then(
      () => running--,
      (error: Error) => {
        running--
        world.broken.push(`${name}: ${error.stack ?? error.message}`)
      },
    )
  }

  if (world.scene === 'crowd') {
    const orders = dice.between(8, 14)
    for (let n = 1; n <= orders; n++) {
      const purchase = drawPurchase(world, n, undefined)
      start(`page ${n}`, page, purchase)
      if (dice.chance(0.3)) start(`payer ${n}`, payer, purchase)
      startNotifier(world, instances, purchase)
    }
    return programsOf()
  }
  if (world.scene === 'keeping') {
    const purchase = drawPurchase(world, 1, undefined)
    start('page', page, purchase)
    if (dice.chance(0.6)) start('payer', payer, purchase)
    if (dice.chance(0.5)) start('closer', closer, purchase)
    if (dice.chance(0.3)) start('refunder', refunder, purchase)
    start('keeper', keeper, purchase)
    startNotifier(world, instances, purchase)
    return programsOf()
  }
  if (world.scene === 'scanned') {
    const purchase = scannedPurchase(world, drawPurchase(world, 1, undefined))
    start('till', page, purchase)
    if (dice.chance(0.3)) start('other till', page, purchase)
    start('payer', scannedPayer, purchase)
    if (dice.chance(0.5)) start('reader', reader, purchase)
    if (dice.chance(0.4)) start('closer', closer, purchase)
    if (dice.chance(0.5)) start('refunder', refunder, purchase)
    if (dice.chance(0.1)) start('clerk', consoleClerk, purchase)
    startNotifier(world, instances, purchase)
    return programsOf()
  }
  const { closed } = world
  if (closed?.who === 'payer') {
    start(
      'page',
      async (scene) => {
        const number = await orderFromCatalogue(scene, closed)
        if (number === undefined) return
        const fee = world.sandbox.orders.get(number)?.request.pay_content.total_fee ?? 1
        const purchase = closedPurchase(number, fee, drawRefundFees(world, fee))
        if (dice.chance(0.85)) start('payer', payer, purchase)
        startAround('', purchase)
      },
      drawPurchase(world, 1, undefined),
    )
    if (dice.chance(0.4)) start('shop', repricer, drawPurchase(world, 1, undefined))
    return programsOf()
  }
  if (closed) {
    const purchase = drawPurchase(world, 1, undefined)
    start('page', page, purchase)
    if (dice.chance(0.85)) start('payer', payer, purchase)
    startAround('', purchase)
    return programsOf()
  }
  const isOfTwo = world.scene === 'two merchants'
  const several = isOfTwo || dice.chance(0.15)
  const oneOrderId = several && dice.chance(0.7) ? `purchase${world.options.seed}` : undefined
  if (isOfTwo && oneOrderId !== undefined)
    world.coverage.count('scene', 'a purchase under one number at two sub-merchants')
  for (let n = 1; n <= (several ? 2 : 1); n++) {
    const purchase = drawPurchase(world, n, oneOrderId, isOfTwo && n === 2 ? OTHER : FIRST)
    start(`page ${n}`, page, purchase)
    if (dice.chance(0.4)) start(`twin ${n}`, page, purchase)
    if (dice.chance(0.85)) start(`payer ${n}`, payer, purchase)
    if (dice.chance(0.5)) start(`reader ${n}`, reader, purchase)
    if (dice.chance(0.45)) start(`closer ${n}`, closer, purchase)
    if (dice.chance(0.1)) start(`other closer ${n}`, closer, purchase)
    if (dice.chance(0.45)) start(`refunder ${n}`, refunder, purchase)
    if (dice.chance(0.15)) start(`other refunder ${n}`, refunder, purchase)
    if (dice.chance(isOfTwo ? 0.8 : 0.12)) start(`clerk ${n}`, consoleClerk, purchase)
    if (dice.chance(0.05)) start(`squatter ${n}`, squatter, purchase)
    startNotifier(world, instances, purchase)
  }
  return programsOf()

  function startAround(name: string, purchase: Purchase): void {
    start(`forger${name}`, forger, purchase)
    if (dice.chance(0.5)) start(`reader${name}`, reader, purchase)
    if (dice.chance(0.4)) start(`closer${name}`, closer, purchase)
    if (dice.chance(0.4)) start(`refunder${name}`, refunder, purchase)
    if (dice.chance(0.1)) start(`clerk${name}`, consoleClerk, purchase)
    startNotifier(world, instances, purchase)
  }

  function programsOf(): Programs {
    return {
      get done() {
        return running === 0
      },
      timer: runTimer(world, instances),
    }
  }
}

function drawPurchase(
  world: World,
  n: number,
  merchant_order_id: string | undefined,
  merchant = FIRST,
): Purchase {
  const { dice } = world
  const number = `${merchant.order_prefix}n${world.options.seed}o${n}`
  const fee = dice.between(2, 500)
  const wechat = dice.chance(0.7)
  const body = JSON.stringify({
    pay_content: { out_trade_no: number, total_fee: fee, body: '湖心奶茶-大杯' },
    pay_mch_key: {
      ...(merchant === FIRST ? {} : { out_sub_mch_id: merchant.out_sub_mch_id }),
      ...(wechat
        ? { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oTestPayer0001' } }
        : { pay_platform: 2, alipay_pay_mch_key_ext: { user_id: '2088000000000001' } }),
    },
    ...(merchant_order_id === undefined ? {} : { merchant_order_id }),
  })
  return { number, fee, wechat, body, refundFees: drawRefundFees(world, fee) }
}

const drawRefundFees = ({ dice }: World, fee: number): number[] =>
  Array.from({ length: 3 }, () => (dice.chance(0.4) ? fee : dice.between(1, fee)))

import { createHash, randomBytes } from 'node:crypto'
import { freshNumber } from '../support/world'
import { freshSecret, openTown } from '../support/town'
import { sealedNotification } from '../support/tamper'
import { SANDBOX_APPS } from '../../local/sandbox/logins'

/**
 * `npx tsx test/bench/anonymous.ts`: what one request of a stranger costs, for the table in docs/en/deploy.md. The doors
 * are in this process: of the platform and of the network nothing is measured.
 */
const TIMES = 2000
const RUNS = 5

async function main(): Promise<void> {
  const town = await openTown({ env: { LOGINS_PER_ADDRESS: '100000', LOGINS_PER_MINUTE: '1000000' } })
  const { out_mch_id, out_sub_mch_id, out_shop_id } = town.app.merchants.first
  const key = { pay_platform: 1, out_mch_id, out_sub_mch_id, out_shop_id }
  /** Text in an envelope, so long that the whole is just below 64 KB. */
  const hints = (one: string) => {
    const text = (count: number) =>
      `{"pay_mch_key":${JSON.stringify(key)},"refund_order_content":[${Array(count).fill(one).join(',')}]}`
    let count = Math.floor(65_000 / (one.length + 1))
    while (sealedNotification(text(count)).length > 65_536) count = Math.floor(count * 0.98)
    return sealedNotification(text(count), 'a key that a stranger made up').toString()
  }
  const order = { out_trade_no: freshNumber(), total_fee: 1, fee_type: 'CNY' }
  const forged = sealedNotification({ pay_mch_key: key, order_content: order }, 'made up').toString()
  const unknown = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`m${at}`, 1]))
  const app_id = SANDBOX_APPS.mini_program
  const secret = freshSecret()
  const secret_hash = createHash('sha256').update(randomBytes(32)).digest('base64url')

  const requests: [name: string, method: string, path: string, body: string][] = [
    ['notification, forged', 'POST', '/notify', forged],
    ['notification, 64 KB of {}', 'POST', '/notify', hints('{}')],
    ['notification, 64 KB of good hints, forged', 'POST', '/notify', hints('{"out_trade_no":"x"}')],
    ['login, larger than 4 KB', 'POST', '/session', 'x'.repeat(65_536)],
    ['login, 4 KB of unknown members', 'POST', '/session', JSON.stringify(unknown).slice(0, -1) + '}'],
    ['login, unknown app', 'POST', '/session', JSON.stringify({ app_id: 'wx1', code: 'abc', secret })],
    ['login, code refused', 'POST', '/session', JSON.stringify({ app_id, code: 'abc', secret })],
    [
      'state for a redirect',
      'POST',
      '/session/state',
      JSON.stringify({ app_id: SANDBOX_APPS.official_account, secret_hash }),
    ],
    ['order without a credential', 'GET', '/orders/sb01x', ''],
    ['order without a credential, 64 KB', 'POST', '/orders', 'x'.repeat(65_536)],
  ]
  for (const [name, method, path, body] of requests) {
    const visit = () =>
      town.call(method, path, { event: { body, requestContext: { sourceIp: '203.0.113.1' } } })
    const { statusCode } = await visit()
    const [said, asked] = [town.database.said, town.logins.asked.wechat]
    await visit()
    const each = [town.database.said - said, town.logins.asked.wechat - asked]
    const runs: number[] = []
    const times = body.length > 10_000 ? TIMES / 10 : TIMES
    for (let run = 0; run < RUNS; run++) {
      const from = process.cpuUsage()
      for (let at = 0; at < times; at++) await visit()
      const { user, system } = process.cpuUsage(from)
      runs.push((user + system) / 1000 / times)
      town.log.length = 0
    }
    const ms = runs.sort((a, b) => a - b)[Math.floor(RUNS / 2)]!
    console.log(
      `${name}: ${statusCode}, ${body.length} B, ${ms.toFixed(2)} ms, statements and questions ${each.join(' ')}`,
    )
  }
  await town.close()
}

void main()

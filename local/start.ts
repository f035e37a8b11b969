import { join, relative } from 'node:path'
import { ROOT } from '../deploy/bundle'
import { startMachine } from './machine'

/**
 * `npm start`: the whole system on this machine, until Ctrl-C. PORT moves it; DATABASE_URL keeps its orders
 * elsewhere than in .local/orders.db, on a MySQL or PostgreSQL of yours too.
 */
const PORT = Number(process.env['PORT'] || 8700)
const SANDBOX_PORT = PORT + 1
const DATABASE_URL = process.env['DATABASE_URL'] || `sqlite:${join(ROOT, '.local', 'orders.db')}`

async function main(): Promise<void> {
  const { gateway, sandbox } = await startMachine({
    databaseUrl: DATABASE_URL,
    port: PORT,
    sandbox: { port: SANDBOX_PORT },
  })
  const { origin } = gateway
  // A server's URL has a password in it.
  const [, file] = /^sqlite:(.*)/.exec(DATABASE_URL) ?? []
  const databaseShown = file === undefined ? 'yours, as DATABASE_URL says' : relative(process.cwd(), file)
  // A number of its own per start, so that the lines below work again and again.
  const number = `sb01demo${Math.floor(process.uptime() * 1000 + performance.timeOrigin).toString(36)}`
  const order = JSON.stringify({
    pay_content: { out_trade_no: number, total_fee: 1, body: '湖心奶茶-大杯' },
    pay_mch_key: { pay_platform: 1, wxpay_pay_mch_key_ext: { sub_open_id: 'oLocalPayer0001' } },
  })
  console.log(`
orders        ${origin}/orders          (your functions, built from this checkout)
Cloud Pay     ${sandbox.baseUrl}   (the sandbox; what it guesses is in local/sandbox/README.md)
database      ${databaseShown}
timer         as serverless.yml says; payments are notified to ${origin}/notify

1. create an order
curl -s ${origin}/orders -H 'content-type: application/json' -d '${order}'

2. pay it, as the payer's wallet would
curl -s ${sandbox.origin}/_sandbox/pay -d '{"out_trade_no":"${number}"}'

3. read it back, asking Cloud Pay first
curl -s '${origin}/orders/${number}?refresh=1'

One JSON line per request follows. Ctrl-C stops everything.
`)
}

main().catch((error: NodeJS.ErrnoException) => {
  const inUse = error.code === 'EADDRINUSE'
  console.error(inUse ? `Port ${PORT} or ${SANDBOX_PORT} is in use; try PORT=9000 npm start.` : error)
  process.exit(1)
})

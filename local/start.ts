import { randomBytes } from 'node:crypto'
import { join, relative } from 'node:path'
import { ROOT } from '../deploy/bundle'
import { startMachine } from './machine'
import { SANDBOX_APPS, SANDBOX_PAYER } from './sandbox/logins'

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
  const secret = randomBytes(32).toString('base64url')
  const app = SANDBOX_APPS.mini_program
  const server = `node ${relative(process.cwd(), join(ROOT, 'examples', 'merchant-server', 'sandbox.mjs'))}`
  const json = "-H 'content-type: application/json'"
  const payer = '-H "authorization: Bearer $TOKEN" -H "x-session-secret: $SECRET"'
  console.log(`
console       ${origin}/   (open it: a phone with the payer's page, and beside it what the order leaves in the system)
board         ${origin}/board/          (what an operator sees: orders, refunds, anomalies)
docs          ${origin}/docs            (the guides; /docs/reference is the interface, /openapi.json for programs)
orders        ${origin}/orders          (your functions, built from this checkout)
Cloud Pay     ${sandbox.baseUrl}   (the sandbox; what it guesses is in local/sandbox/README.md)
database      ${databaseShown}
timer         as serverless.yml says; payments are notified to ${origin}/notify

Paste these into another shell in this folder: the payer's phone, the shop's server, the payer's wallet.

# 1. log in: a code as wx.login gives it, and a secret only the phone keeps
SECRET=${secret}
CODE=$(curl -s ${sandbox.origin}/_sandbox/login -d '{"app_id":"${app}"}' | cut -d'"' -f4)
TOKEN=$(curl -s ${origin}/session ${json} -d "{\\"app_id\\":\\"${app}\\",\\"code\\":\\"$CODE\\",\\"secret\\":\\"$SECRET\\"}" | cut -d'"' -f4)

# 2. a quote from the shop's server (or send "sku":"tea" in its place, with an Idempotency-Key: the catalogue has it)
QUOTE=$(${server} quote ${SANDBOX_PAYER.mini_program} 1880 湖心奶茶-大杯)

# 3. order, as the payer
ORDER=$(curl -s ${origin}/orders ${payer} ${json} -d "{\\"quote\\":\\"$QUOTE\\"}"); echo "$ORDER"
NUMBER=$(echo "$ORDER" | cut -d'"' -f4)

# 4. pay, as the payer's wallet would
curl -s ${sandbox.origin}/_sandbox/pay -d "{\\"out_trade_no\\":\\"$NUMBER\\"}"; echo

# 5. read it back, as the payer, asking Cloud Pay first; still pending? once more after three seconds
curl -s "${origin}/orders/$NUMBER?refresh=1" ${payer}; echo

# 6. refund a part, as the shop's server
REFUND='{"refund_fee":500,"out_refund_no":"sb01'$(date +%s)'"}'
${server} sign POST "${origin}/orders/$NUMBER/refunds" "$REFUND" | curl -s -H @- ${json} "${origin}/orders/$NUMBER/refunds" -d "$REFUND"; echo

One JSON line per request follows. Ctrl-C stops everything.
`)
}

main().catch((error: NodeJS.ErrnoException) => {
  const inUse = error.code === 'EADDRINUSE'
  console.error(inUse ? `Port ${PORT} or ${SANDBOX_PORT} is in use; try PORT=9000 npm start.` : error)
  process.exit(1)
})

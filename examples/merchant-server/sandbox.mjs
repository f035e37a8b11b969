// @ts-check
/**
 * What your server would do, on the command line and with the keys the sandbox publishes:
 *
 *   node sandbox.mjs quote PAYER_ID TOTAL_FEE BODY    prints a quote
 *   node sandbox.mjs sign METHOD URL [BODY]           prints headers, for `curl -H @-`
 */
import { randomUUID } from 'node:crypto'
import { issueQuote } from './quote.mjs'
import { signRequest } from './sign.mjs'

const shop = {
  name: 'q1',
  iss: 'sandbox-shop',
  secret: 'sandbox0people0not0a0secretquotes',
  deployment: 'sandbox',
  out_sub_mch_id: 'sandboxsub0000000001',
}
const server = { name: 'server', secret: 'sandbox0people0not0a0secretserver' }

const [what, ...given] = process.argv.slice(2)
if (what === 'quote') {
  const [payer_id = '', total_fee = '', body = ''] = given
  const merchant_order_id = randomUUID()
  console.log(await issueQuote(shop, { payer_id, merchant_order_id, total_fee: Number(total_fee), body }))
} else if (what === 'sign') {
  const [method = '', url = '', body = ''] = given
  for (const [name, value] of Object.entries(signRequest(server, { method, url, body })))
    console.log(`${name}: ${value}`)
} else {
  console.error('sandbox.mjs quote PAYER_ID TOTAL_FEE BODY | sandbox.mjs sign METHOD URL [BODY]')
  process.exitCode = 1
}

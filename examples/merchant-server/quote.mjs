// @ts-check
/**
 * For your server: says what one payer may buy once. Give the quote to your page or mini-program, which sends it as
 * `quote` in POST /orders. Needs `npm install jose`.
 */
import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'

/**
 * @typedef {object} Shop          as in QUOTE_KEYS and DEPLOYMENT_NAME
 * @property {string} name         the key's name
 * @property {string} iss
 * @property {string} secret       of HS256; for ES256 or EdDSA pass a private key to `sign` instead
 * @property {string} deployment
 * @property {string} out_sub_mch_id
 *
 * @typedef {object} Sale
 * @property {string} payer_id           the openid or user_id your own login knows
 * @property {string} merchant_order_id  your purchase: one order at a time may be paid for it
 * @property {number} total_fee          integer fen
 * @property {string} body               what the wallet shows
 * @property {number} [lifeS]            seconds it may be used for; 24 h at most
 */

/**
 * @param {Shop} shop
 * @param {Sale} sale
 * @returns {Promise<string>}
 */
export const issueQuote = (shop, sale) =>
  new SignJWT({
    total_fee: sale.total_fee,
    fee_type: 'CNY',
    body: sale.body,
    merchant_order_id: sale.merchant_order_id,
  })
    .setProtectedHeader({ alg: 'HS256', kid: shop.name, typ: 'quote+jwt' })
    .setIssuer(shop.iss)
    .setAudience([shop.deployment, shop.out_sub_mch_id])
    .setSubject(sale.payer_id)
    .setJti(randomUUID())
    .setExpirationTime(`${sale.lifeS ?? 600} s`)
    .sign(new TextEncoder().encode(shop.secret))

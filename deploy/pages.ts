import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import * as v from 'valibot'
import { ROOT } from './bundle'

/**
 * The pages as static files: one HTML, one script, one style sheet each, built from web/. Everything they are allowed
 * to do stands in their Content-Security-Policy, in the page itself for hosts that set no headers.
 */

const HttpUrl = v.pipe(
  v.string(),
  v.url(),
  v.regex(/^https?:\/\/[^\s?#'";]+$/, 'must be an http(s) address without query'),
)
const App = v.strictObject({
  app_id: v.pipe(v.string(), v.regex(/^[0-9A-Za-z]{1,32}$/)),
  authorize_url: v.optional(HttpUrl),
})

/** As web/cashier/config.ts describes it. */
export const PagesConfig = v.strictObject({
  api: v.union([
    HttpUrl,
    v.strictObject({ session: HttpUrl, createOrder: HttpUrl, status: HttpUrl, closeOrder: HttpUrl }),
  ]),
  wechat: v.optional(App),
  alipay: v.optional(App),
  titles: v.optional(v.record(v.string(), v.string())),
})
export type PagesConfig = v.InferOutput<typeof PagesConfig>

/** And no newer: the web views inside wallets are as old as the phones. */
const TARGET = 'es2019'

/**
 * What a page may do: run and style itself from its own files, and ask these origins. `frame-src`: older web views of
 * WeChat and Alipay talk to the app through frames of their own schemes.
 */
export const pagePolicy = (origins: readonly string[]): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${[...new Set(origins)].join(' ')}`,
    'frame-src weixin: wvjbscheme: alipay: alipays:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')

export const apiOrigins = ({ api }: PagesConfig): string[] =>
  (typeof api === 'string' ? [api] : Object.values(api)).map((url) => new URL(url).origin)

/** Of web/FOLDER/FOLDER.css and main.ts, as FOLDER.css and FOLDER.js in `outdir`. */
async function bundlePage(folder: string, outdir: string): Promise<void> {
  await build({
    entryPoints: ['main.ts', `${folder}.css`].map((file) => ({
      in: join(ROOT, 'web', folder, file),
      out: folder,
    })),
    bundle: true,
    minify: true,
    format: 'iife',
    target: TARGET,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'error',
    absWorkingDir: ROOT,
    outdir,
  })
}

const embed = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c')

/** The cashier in `outdir`/cashier. */
export async function buildCashier(config: PagesConfig, outdir: string): Promise<void> {
  const folder = join(outdir, 'cashier')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await bundlePage('cashier', folder)
  const html = readFileSync(join(ROOT, 'web', 'cashier', 'index.html'), 'utf8')
    .replace('{{csp}}', pagePolicy(apiOrigins(config)))
    .replace('{{config}}', () => embed(config))
  writeFileSync(join(folder, 'index.html'), html)
}

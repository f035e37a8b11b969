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
    v.strictObject({
      ...{ session: HttpUrl, createOrder: HttpUrl, status: HttpUrl, closeOrder: HttpUrl },
      /** For the order board; without them it is not built. */
      ...{ board: v.optional(HttpUrl), refund: v.optional(HttpUrl) },
    }),
  ]),
  wechat: v.optional(App),
  alipay: v.optional(App),
  titles: v.optional(v.record(v.string(), v.string())),
})
export type PagesConfig = v.InferOutput<typeof PagesConfig>

type Api = Exclude<PagesConfig['api'], string>
export type CashierConfig = Omit<PagesConfig, 'api'> & {
  api: string | Pick<Api, 'session' | 'createOrder' | 'status' | 'closeOrder'>
}
/** As web/board/config.ts describes it. */
export type BoardConfig = { api: string | Record<'board' | 'status' | 'refund', string> }

/** And no newer: the web views inside wallets are as old as the phones. */
const TARGET = 'es2019'

/** What a page may do: run and style itself from its own files, ask these origins, and hold these frames. */
export const policyOf = ({
  connect,
  frames,
}: {
  connect: readonly string[]
  frames: readonly string[]
}): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${[...new Set(connect)].join(' ')}`,
    `frame-src ${frames.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')

/** Older web views of WeChat and Alipay talk to the app through frames of their own schemes. */
export const pagePolicy = (origins: readonly string[]): string =>
  policyOf({ connect: origins, frames: ['weixin:', 'wvjbscheme:', 'alipay:', 'alipays:'] })

export const apiOrigins = ({ api }: { api: string | Record<string, string> }): string[] =>
  (typeof api === 'string' ? [api] : Object.values(api)).map((url) => new URL(url).origin)

/** What of the configuration is the cashier's, and what the board's: neither page is told or allowed more. */
export function cashierConfig(config: PagesConfig): CashierConfig {
  if (typeof config.api === 'string') return { ...config, api: config.api }
  const { board: _board, refund: _refund, ...api } = config.api
  return { ...config, api }
}

export function boardConfig({ api }: PagesConfig): BoardConfig | undefined {
  if (typeof api === 'string') return { api }
  const { board, status, refund } = api
  return board === undefined || refund === undefined ? undefined : { api: { board, status, refund } }
}

/** Holds no frames; loads nothing but itself. */
export const boardPolicy = (config: BoardConfig): string =>
  policyOf({ connect: apiOrigins(config), frames: ["'none'"] })

/** Of web/FOLDER/FOLDER.css and main.ts, as FOLDER.css and FOLDER.js in `outdir`; `more` scripts under their names. */
async function bundlePage(folder: string, outdir: string, more: readonly string[] = []): Promise<void> {
  await build({
    entryPoints: [
      ...['main.ts', `${folder}.css`].map((file) => ({ in: join(ROOT, 'web', folder, file), out: folder })),
      ...more.map((name) => ({ in: join(ROOT, 'web', folder, `${name}.ts`), out: name })),
    ],
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
export const buildCashier = (config: CashierConfig, outdir: string): Promise<void> =>
  buildPage('cashier', outdir, config, pagePolicy(apiOrigins(config)))

/** The order board in `outdir`/board. No key is ever in it: the operator brings one. */
export const buildBoard = (config: BoardConfig, outdir: string): Promise<void> =>
  buildPage('board', outdir, config, boardPolicy(config))

/** The console in `outdir`/console. Its policy comes as a header: it is never put anywhere else. */
export const buildConsole = (config: { sandbox: string }, outdir: string): Promise<void> =>
  buildPage('console', outdir, config, undefined, ['bridge'])

async function buildPage(
  name: string,
  outdir: string,
  config: object,
  policy: string | undefined,
  more: readonly string[] = [],
): Promise<void> {
  const folder = join(outdir, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await bundlePage(name, folder, more)
  const html = readFileSync(join(ROOT, 'web', name, 'index.html'), 'utf8')
    .replace('{{csp}}', policy ?? '')
    .replace('{{config}}', () => embed(config))
  writeFileSync(join(folder, 'index.html'), html)
}

/** It asks nobody for anything. */
export const scanPolicy = (): string => policyOf({ connect: ["'none'"], frames: ["'none'"] })

/** The code of a scan_code_pay order, in `outdir`/scan. */
export const buildScan = (outdir: string): Promise<void> => buildPage('scan', outdir, {}, scanPolicy())

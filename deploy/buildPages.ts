import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import * as v from 'valibot'
import { ROOT } from './bundle'
import { boardConfig, buildBoard, buildCashier, buildScan, cashierConfig, PagesConfig } from './pages'

/**
 * `npm run web -- FILE` writes the payer's page, the page with a code to scan and the order board to .build/web, ready to be put on any static
 * hosting. FILE is JSON:
 * {"api": "https://pay.example.com", "wechat": {"app_id": "wx…"}, "alipay": {"app_id": "…"}, "titles": {"tea": "…"}};
 * without a custom domain, `api` is {"session": URL, "createOrder": URL, "status": URL, "closeOrder": URL}, and for the
 * board "board" and "refund" as well.
 */
async function main(): Promise<void> {
  const [file] = process.argv.slice(2)
  if (!file)
    throw new Error(
      'npm run web -- FILE: the JSON file that says where the functions are; see docs/en/pages.md',
    )
  const read = v.safeParse(PagesConfig, JSON.parse(readFileSync(file, 'utf8')))
  if (!read.success) {
    const [{ message }] = read.issues
    throw new Error(`${file}: ${v.getDotPath(read.issues[0]) ?? 'all of it'}: ${message}`)
  }
  const outdir = join(ROOT, '.build', 'web')
  await buildCashier(cashierConfig(read.output), outdir)
  await buildScan(outdir)
  const board = boardConfig(read.output)
  if (board) await buildBoard(board, outdir)
  else console.log('The order board is not built: it needs "board" and "refund" in "api".')
  for (const page of board ? ['cashier', 'scan', 'board'] : ['cashier', 'scan']) {
    const folder = join(outdir, page)
    for (const name of readdirSync(folder)) {
      console.log(
        `${relative(process.cwd(), join(folder, name))}  ${statSync(join(folder, name)).size} bytes`,
      )
    }
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

import { join } from 'node:path'
import { build } from 'esbuild'
import { ROOT } from './bundle'

/** Where a mini-program has it: WeChat's tools take no files from outside their folder. */
export const CLIENT_FILE = 'examples/miniprogram/miniprogram/lib/cloud-pay.js'

/** The client of web/ as one file of plain JavaScript for mini-programs. */
export async function buildClient(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { createClient, isSettled, PayError } from './client'
export { wxTransport } from './transports'`,
      resolveDir: join(ROOT, 'web', 'client'),
    },
    absWorkingDir: ROOT,
    bundle: true,
    format: 'cjs',
    target: 'es2020',
    charset: 'utf8',
    banner: { js: '// Made from web/client by `npm run client`: change it there.' },
    logLevel: 'error',
    write: false,
  })
  return outputFiles[0]!.text
}

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { ROOT } from '../../deploy/bundle'
import { trimDrivers } from '../../deploy/trim'

export const OUT = join(ROOT, '.build', 'bench')
export const clean = () => rmSync(OUT, { recursive: true, force: true })

/**
 * How a measured program is made. `trimmed`: as deploy/bundle.ts makes a function (its options are repeated here and
 * have to follow it). `bundled`: the stock packages in one file. `unbundled`: only its own files, packages are
 * required from node_modules.
 */
export type Way = 'trimmed' | 'bundled' | 'unbundled'

export async function buildProgram(file: string, way: Way): Promise<string> {
  const outfile = join(OUT, way, `${basename(file, '.ts')}.js`)
  await build({
    entryPoints: [join(ROOT, 'test', 'bench', file)],
    outfile,
    bundle: true,
    platform: 'node',
    target: way === 'trimmed' ? 'node18' : 'node20',
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: way === 'trimmed' ? 'external' : false,
    legalComments: 'none',
    logLevel: 'error',
    absWorkingDir: ROOT,
    ...(way === 'trimmed'
      ? {
          supported: { 'dynamic-import': false },
          define: {
            'process.env.STORE_WITHOUT_MYSQL': '"no"',
            'process.env.STORE_WITHOUT_POSTGRES': '"no"',
            'process.env.STORE_WITHOUT_SQLITE': '"yes"',
          },
          plugins: [trimDrivers()],
        }
      : {}),
    ...(way === 'unbundled' ? { packages: 'external' as const } : {}),
  })
  return outfile
}

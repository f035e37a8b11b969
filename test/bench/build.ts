import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, type BuildOptions } from 'esbuild'
import { bundleOptions, ROOT } from '../../deploy/bundle'
import type { Dialect } from '../../shared/base/databaseUrl'

export const OUT = join(ROOT, '.build', 'bench')
export const clean = () => rmSync(OUT, { recursive: true, force: true })

/** The drivers a measured bundle carries. */
export const BUNDLES = [['mysql'], ['postgres'], ['mysql', 'postgres']] as const satisfies Dialect[][]

/**
 * How a measured program is made. `trimmed`: as a function is bundled. `bundled`: the stock packages in one file.
 * `unbundled`: only its own files, packages are required from node_modules.
 */
export type Way = 'trimmed' | 'bundled' | 'unbundled'

export async function buildProgram(file: string, way: Way): Promise<string> {
  const outfile = join(OUT, way, `${basename(file, '.ts')}.js`)
  const as = bundleOptions(['mysql', 'postgres'])
  const stock: BuildOptions = { target: 'node20', sourcemap: false, supported: {}, define: {}, plugins: [] }
  await build({
    ...as,
    ...(way === 'trimmed' ? {} : stock),
    ...(way === 'unbundled' ? { packages: 'external' as const } : {}),
    entryPoints: [join(ROOT, 'test', 'bench', file)],
    outfile,
  })
  return outfile
}

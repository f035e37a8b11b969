import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { planting, rewriting, ROOT } from '../support/planting'
import { editsOf } from './plants'

/** Stage and actor as one file each: a process that has to compile TypeScript first is seconds late. */
export async function bundleRaces(): Promise<{ stageFile: string; actorFile: string }> {
  const folder = join(ROOT, '.build/races')
  mkdirSync(folder, { recursive: true })
  await build({
    absWorkingDir: ROOT,
    entryPoints: [join(__dirname, 'stage.ts'), join(__dirname, 'actor.ts')],
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    sourcemap: 'inline',
    logLevel: 'error',
    packages: 'external',
    plugins: [rewriting(planting(editsOf(process.env['RACE_PLANT'])))],
  })
  return { stageFile: join(folder, 'stage.cjs'), actorFile: join(folder, 'actor.cjs') }
}

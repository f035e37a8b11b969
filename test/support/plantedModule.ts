import { createRequire } from 'node:module'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import { build } from 'esbuild'
import { planting, rewriting, ROOT, type Edit } from './planting'

/** A module of the tests and the code it imports, changed on its way in and run in this process. Nothing on disk is touched. */
export async function loadPlanted<Exports>(entry: string, edits: readonly Edit[]): Promise<Exports> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    external: ['libsql', 'mysql2', 'pg'],
    plugins: [rewriting(planting(edits))],
  })
  const module = { exports: {} as Exports }
  const names = ['module', 'exports', 'require', '__dirname', '__filename']
  const run = compileFunction(outputFiles[0]!.text, names) as (...given: unknown[]) => void
  // What finds its files from where it stands stands one folder below the root.
  run(module, module.exports, createRequire(join(ROOT, 'package.json')), join(ROOT, 'test'), entry)
  return module.exports
}

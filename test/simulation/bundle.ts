import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { rewriting, ROOT, type Rewrite } from '../support/planting'

/**
 * The simulator and the code under test as one file: compiled once, and the place where the code is changed on its
 * way in (crash points, planted faults).
 */
export async function bundleWorker(name: string, rewrite?: Rewrite): Promise<string> {
  const folder = join(ROOT, '.build/simulation')
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `${name}.cjs`)
  await build({
    absWorkingDir: ROOT,
    entryPoints: [join(__dirname, 'worker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    sourcemap: 'inline',
    logLevel: 'error',
    // Drivers and clients that nothing here speaks to.
    external: ['libsql', 'mysql2', 'pg'],
    // Time limits in the code under test pass in virtual time; see clock.ts.
    define: {
      setTimeout: 'virtualTime.setTimeout',
      clearTimeout: 'virtualTime.clearTimeout',
      'performance.now': 'virtualTime.now',
    },
    plugins: [
      rewriting((file, text) => rewrite?.(file, writeOnce(file, text) ?? text) ?? writeOnce(file, text)),
    ],
    nodePaths: [join(ROOT, 'node_modules')],
  })
  return outfile
}

/**
 * Statements are written once per store, and every instance has a store: here once for all, or writing them would take
 * most of the time. What they say stays the same.
 */
function writeOnce(file: string, text: string): string | undefined {
  if (file !== 'shared/store/statements.ts') return undefined
  const changed = text
    .replace('written.get(store)', 'written.get(store.db)')
    .replace('written.set(store,', 'written.set(store.db,')
  const types = changed.replace('new WeakMap<Store,', 'new WeakMap<object,')
  if (types.split('store.db').length < 3) throw new Error(`${file} does not keep its texts as it did`)
  return types
}

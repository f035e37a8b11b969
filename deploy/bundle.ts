import { readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild'
import { trimDrivers } from './trim'
import type { Dialect } from '../shared/base/databaseUrl'

export const ROOT = join(__dirname, '..')

/** Every file in functions/ is one function: the file's name is the function's, its export is `main_handler`. */
export const functionNames = (): string[] =>
  readdirSync(join(ROOT, 'functions'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => basename(file, '.ts'))

/**
 * How a function is bundled, with only the database drivers it was asked to carry.
 *
 * What each choice is worth at a cold start was measured: CommonJS loads 5–9 % faster than ESM; identifiers are left
 * alone because shortening them makes loading slower; the source map is a file of its own because an inline one costs
 * 22 ms. Node 18.15 is the newest runtime the SCF API documents.
 */
export function bundleOptions(drivers: readonly Dialect[]) {
  const without = (dialect: Dialect) => (drivers.includes(dialect) ? '"no"' : '"yes"')
  return {
    bundle: true,
    platform: 'node',
    target: 'node18',
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    legalComments: 'none',
    logLevel: 'error',
    absWorkingDir: ROOT,
    // import() becomes require(): no ESM loader to start for a built-in.
    supported: { 'dynamic-import': false },
    define: {
      'process.env.STORE_WITHOUT_MYSQL': without('mysql'),
      'process.env.STORE_WITHOUT_POSTGRES': without('postgres'),
      'process.env.STORE_WITHOUT_SQLITE': without('sqlite'),
    },
    // A native module, for local bundles only.
    external: ['libsql'],
    plugins: [trimDrivers()],
  } as const satisfies BuildOptions
}

/** One file per function in `outdir`, which is emptied first. */
export async function bundle(options: { drivers: readonly Dialect[]; outdir: string }): Promise<Metafile> {
  rmSync(options.outdir, { recursive: true, force: true })
  const make = (names: readonly string[], plugins: Plugin[]) =>
    build({
      ...bundleOptions(options.drivers),
      plugins,
      entryPoints: names.map((name) => join(ROOT, 'functions', `${name}.ts`)),
      outdir: options.outdir,
      metafile: true,
    })
  // Only migrations need the part of Kysely that writes schemas. They start seldom, and nobody waits at a till for it.
  const names = functionNames()
  const [trimmed, whole] = await Promise.all([
    make(
      names.filter((name) => name !== MIGRATE),
      [trimDrivers()],
    ),
    make([MIGRATE], [trimDrivers(['kysely'])]),
  ])
  return {
    inputs: { ...trimmed.metafile.inputs, ...whole.metafile.inputs },
    outputs: { ...trimmed.metafile.outputs, ...whole.metafile.outputs },
  }
}

const MIGRATE = 'migrate'

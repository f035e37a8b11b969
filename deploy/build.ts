import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Dialect } from '../shared/base/databaseUrl'
import { bundle, functionNames, ROOT } from './bundle'

/**
 * `npm run build` writes the functions as they are deployed to .build/scf, one file each, for the databases named in
 * DRIVERS: `mysql`, `postgres` or `mysql,postgres` (the default). SQLite is never among them.
 */
async function main(): Promise<void> {
  const drivers = (process.env['DRIVERS'] || 'mysql,postgres').split(',')
  const unknown = drivers.filter((driver) => driver !== 'mysql' && driver !== 'postgres')
  if (unknown.length > 0) throw new Error(`DRIVERS: ${unknown.join(', ')} cannot be deployed`)
  const outdir = join(ROOT, '.build', 'scf')
  await bundle({ drivers: drivers as Dialect[], outdir })
  for (const name of functionNames()) {
    console.log(`${name}.js  ${Math.round(statSync(join(outdir, `${name}.js`)).size / 1024)} KB`)
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

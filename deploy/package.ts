import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, ROOT } from './bundle'
import { DeployFault } from './fault'
import { refuseZip } from './refuse'
import type { Service, WantedFunction } from './service'
import { writeZip, type ZipEntry } from './zip'

export type Artifact = { key: string; file: string; zip: Buffer; sha256: string }

/** Its own for each process: two that package at once do not meet. */
const OUTDIR = join(ROOT, '.build', `package-${process.pid}`)

/** `createOrder.main_handler` → `createOrder`: the platform wants the file in the root of the zip. */
export const entryOf = (handler: string): string => handler.slice(0, handler.lastIndexOf('.'))

/** One zip per function into `dir`, without asking anybody anything. */
export async function packageService(service: Service, dir: string): Promise<Artifact[]> {
  const sources = new Set(readdirSync(join(ROOT, 'functions')).map((file) => file.replace(/\.ts$/, '')))
  for (const { key, handler } of service.functions) {
    if (!sources.has(entryOf(handler)))
      throw new DeployFault(
        `functions.${key}.handler is ${handler}, but there is no functions/${entryOf(handler)}.ts: name a file there.`,
        'HANDLER_UNKNOWN',
      )
  }
  try {
    return await packageInto(service, dir)
  } finally {
    rmSync(OUTDIR, { recursive: true, force: true })
  }
}

async function packageInto(service: Service, dir: string): Promise<Artifact[]> {
  const metafile = await bundle({ drivers: service.drivers, outdir: OUTDIR })
  mkdirSync(dir, { recursive: true })
  const artifacts: Artifact[] = []
  for (const wanted of service.functions) {
    const zip = await writeZip(entries(entryOf(wanted.handler), service.sourceMaps))
    const output = Object.entries(metafile.outputs).find(([file]) =>
      file.endsWith(`/${entryOf(wanted.handler)}.js`),
    )?.[1]
    refuseZip(
      wanted,
      zip,
      Object.entries(output?.inputs ?? {}).map(([name, { bytesInOutput }]) => ({
        name,
        size: bytesInOutput,
      })),
    )
    writeFileSync(join(dir, `${wanted.key}.zip`), zip)
    artifacts.push(artifact(wanted.key, join(dir, `${wanted.key}.zip`), zip))
  }
  return artifacts
}

/** What an earlier `sls package` left in `dir`. */
export function readPackage(functions: readonly WantedFunction[], dir: string): Artifact[] {
  return functions.map((wanted) => {
    const file = join(dir, `${wanted.key}.zip`)
    let zip: Buffer
    try {
      zip = readFileSync(file)
    } catch {
      throw new DeployFault(`${file} is not there: run sls package --package ${dir} first.`, 'NOT_PACKAGED')
    }
    refuseZip(wanted, zip)
    return artifact(wanted.key, file, zip)
  })
}

const artifact = (key: string, file: string, zip: Buffer): Artifact => ({
  key,
  file,
  zip,
  sha256: createHash('sha256').update(zip).digest('hex'),
})

/**
 * With source maps the handler's file is one line that switches them on before the bundle is loaded: Node reads the map
 * of a file only if they are on by then.
 */
function entries(name: string, sourceMaps: boolean): ZipEntry[] {
  const code = readFileSync(join(OUTDIR, `${name}.js`))
  if (!sourceMaps) return [{ name: `${name}.js`, bytes: code }]
  const bundled = `${name}.bundle.js`
  return [
    {
      name: `${name}.js`,
      bytes: Buffer.from(`process.setSourceMapsEnabled(true); module.exports = require('./${bundled}')\n`),
    },
    { name: bundled, bytes: Buffer.concat([code, Buffer.from(`\n//# sourceMappingURL=${bundled}.map\n`)]) },
    { name: `${bundled}.map`, bytes: readFileSync(join(OUTDIR, `${name}.js.map`)) },
  ]
}

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './bundle'

/** CycloneDX 1.5, as far as it is looked at here. */
export type Component = {
  'bom-ref': string
  name: string
  version: string
  purl: string
  licenses?: { license?: { id?: string }; expression?: string }[]
  hashes?: { alg: string; content: string }[]
}
export type Bom = {
  bomFormat: string
  specVersion: string
  metadata: { component: { name: string } }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

type Lock = { packages: Record<string, { version?: string; dev?: boolean; devOptional?: boolean }> }

/**
 * What the functions are made of, from the lock file. npm writes it, and is asked for everything: with `--omit dev` it
 * also leaves out what a development package needs as well (of pg, its protocol and types).
 */
export async function makeSbom(root = ROOT): Promise<Bom> {
  const { stdout } = await promisify(execFile)(
    'npm',
    ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'],
    { cwd: root, maxBuffer: 1 << 26 },
  )
  const bom = JSON.parse(stdout) as Bom
  const { name, packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock & {
    name: string
  }
  const kept = new Set(
    Object.entries(packages)
      .filter(([path, one]) => path !== '' && !one.dev && !one.devOptional)
      .map(([path, one]) => `${path.replace(/^.*node_modules\//, '')}@${one.version}`),
  )
  const own = `${name}@`
  return {
    ...bom,
    // npm takes the folder's name for it.
    metadata: { ...bom.metadata, component: { ...bom.metadata.component, name } },
    components: bom.components.filter((one) => kept.has(`${one.name}@${one.version}`)),
    dependencies: bom.dependencies
      .filter(({ ref }) => kept.has(ref) || ref.startsWith(own))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) })),
  }
}

/** `npm run sbom` prints it. */
if (require.main === module) {
  makeSbom().then(
    (bom) => console.log(JSON.stringify(bom, null, 2)),
    (error: unknown) => {
      console.error(error)
      process.exitCode = 1
    },
  )
}

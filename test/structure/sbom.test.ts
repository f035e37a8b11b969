import { readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bundle } from '../../deploy/bundle'
import { makeSbom, type Bom, type Component } from '../../deploy/sbom'

/** What is deployed is known by name, version and licence; another one is noticed before it is deployed. */
const root = resolve(__dirname, '../..')

/** Licences whose code may be bundled: all they ask for is to be named. */
const LICENCES = ['MIT', 'ISC', 'Apache-2.0', 'Unlicense', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']

type Entry = {
  version: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Entry>
}

/** Another way to the same list than npm's: from package.json along the lock file, as Node would look for them. */
function reached(): Set<string> {
  const found = new Set<string>()
  const find = (from: string, name: string): string | undefined => {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`
      if (packages[path]) return path
      if (at === '') return undefined
    }
  }
  const visit = (path: string) => {
    const {
      dependencies,
      optionalDependencies,
      peerDependencies = {},
      peerDependenciesMeta = {},
    } = packages[path]!
    const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional)
    for (const name of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers]) {
      const next = find(path, name)
      if (next === undefined || found.has(next)) continue
      found.add(next)
      visit(next)
    }
  }
  visit('')
  return found
}
const nameOf = (path: string) => path.replace(/^.*node_modules\//, '')

const licencesOf = ({ licenses = [] }: Component): string[] =>
  licenses.map(({ license, expression }) => license?.id ?? expression ?? 'unknown')
const unwelcome = (bom: Bom): string[] =>
  bom.components
    .filter((one) => licencesOf(one).length === 0 || licencesOf(one).some((id) => !LICENCES.includes(id)))
    .map(({ name }) => name)

let bom: Bom
beforeAll(async () => {
  bom = await makeSbom()
})

test('it names the production packages, each at its version, and nothing else', () => {
  const named = bom.components.map(({ name, version }) => `${name}@${version}`).sort()
  expect(named).toEqual([...reached()].map((path) => `${nameOf(path)}@${packages[path]!.version}`).sort())
  expect(bom).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { name: 'cloud-pay-scf' } } })
  expect(bom.components.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['jest']))
})

test('each has an address, and the hash of what the lock file lets in', () => {
  for (const { name, version, purl, hashes } of bom.components) {
    expect(decodeURIComponent(purl)).toBe(`pkg:npm/${name}@${version}`)
    expect([name, hashes?.[0]]).toEqual([
      name,
      { alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) },
    ])
  }
})

test('nothing it depends on is missing from it', () => {
  const refs = new Set(bom.components.map((one) => one['bom-ref']))
  expect(bom.dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !refs.has(ref))).toEqual([])
  expect(bom.dependencies.length).toBe(refs.size + 1)
})

test('every licence is one of those that may be bundled; another one would be noticed, and so would none', () => {
  expect(unwelcome(bom)).toEqual([])
  const [first, second, ...rest] = bom.components as [Component, Component, ...Component[]]
  const planted: Bom = {
    ...bom,
    components: [
      { ...first, licenses: [{ license: { id: 'AGPL-3.0-only' } }] },
      { ...second, licenses: [] },
      ...rest,
    ],
  }
  expect(unwelcome(planted)).toEqual([first.name, second.name])
})

test('whatever a bundle is made of is in it', async () => {
  const outdir = join(root, '.build', `test-sbom-${process.pid}`)
  const { inputs } = await bundle({ drivers: ['mysql', 'postgres'], outdir })
  rmSync(outdir, { recursive: true })
  const bundled = new Set(
    Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
  )
  const named = new Set(bom.components.map(({ name }) => name))
  expect(bundled.size).toBeGreaterThan(5)
  expect([...bundled].filter((name) => !named.has(name))).toEqual([])
})

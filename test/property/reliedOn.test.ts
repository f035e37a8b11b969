import { createRequire } from 'node:module'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import { build } from 'esbuild'
import { planting, rewriting, ROOT, type Edit } from '../support/planting'
import { believed } from './reliedOn'
import { LENIENT_PLANTS } from './reliedOnPlants'

test('an answer whose relied-on member is of another type is never believed', async () => {
  expect(await believed()).toEqual([])
})

async function believedWith(edits: readonly Edit[]): Promise<string[]> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: [join(__dirname, 'reliedOn.ts')],
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    external: ['libsql', 'mysql2', 'pg'],
    plugins: [rewriting(planting(edits))],
  })
  const module = { exports: {} as { believed: typeof believed } }
  const run = compileFunction(outputFiles[0]!.text, ['module', 'exports', 'require']) as (
    ...given: unknown[]
  ) => void
  run(module, module.exports, createRequire(__filename))
  return module.exports.believed()
}

test.each(LENIENT_PLANTS)('$name read leniently: noticed', async ({ edits }) => {
  expect((await believedWith(edits)).length).toBeGreaterThan(0)
})

import { mkdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { editsOf } from './plants'

const ROOT = resolve(__dirname, '../..')

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
    plugins: [planting(editsOf(process.env['RACE_PLANT']))],
  })
  return { stageFile: join(folder, 'stage.cjs'), actorFile: join(folder, 'actor.cjs') }
}

const planting = (edits: ReturnType<typeof editsOf>): Plugin => ({
  name: 'planting',
  setup({ onLoad }) {
    onLoad({ filter: /\/shared\/.*\.ts$/ }, ({ path }) => {
      const file = relative(ROOT, path)
      let text: string | undefined
      for (const edit of edits.filter((one) => one.file === file)) {
        text ??= readFileSync(path, 'utf8')
        if (!text.includes(edit.from)) throw new Error(`${file} is not written as it was: ${edit.from}`)
        text = text.replace(edit.from, edit.to)
      }
      return text === undefined ? undefined : { contents: text, loader: 'ts' }
    })
  },
})

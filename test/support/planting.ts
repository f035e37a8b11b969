import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import type { Plugin } from 'esbuild'

/** Changing the code under test while it is bundled: planted faults, crash points. */
export const ROOT = resolve(__dirname, '../..')

/** Changes a source file on its way in. Gets its path from the root; gives the new text, or nothing to leave it. */
export type Rewrite = (file: string, text: string) => string | undefined

export type Edit = {
  file: string
  /** Stands in the file exactly once. */
  find: string
  replace: string
}

/** Throws when the text is not there exactly once. */
export function plantIn({ file, find, replace }: Edit, text: string): string {
  const pieces = text.split(find)
  if (pieces.length !== 2) {
    throw new Error(`${file}: ${JSON.stringify(find)} stands there ${pieces.length - 1} times, not once`)
  }
  return pieces.join(replace)
}

export const planting =
  (edits: readonly Edit[]): Rewrite =>
  (file, text) => {
    const here = edits.filter((edit) => edit.file === file)
    return here.length === 0 ? undefined : here.reduce((changed, edit) => plantIn(edit, changed), text)
  }

export const rewriting = (rewrite: Rewrite): Plugin => ({
  name: 'rewriting',
  setup({ onLoad }) {
    onLoad({ filter: /\/(shared|functions)\/.*\.ts$/ }, ({ path }) => {
      const contents = rewrite(relative(ROOT, path), readFileSync(path, 'utf8'))
      return contents === undefined ? undefined : { contents, loader: 'ts' }
    })
  },
})

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TABLES, type Language } from './tables'

/** A page, and what it should say: between the two marks stands what the code says, and nothing is written there by hand. */
const BLOCK = /<!-- from the code: ([a-z ]+) -->\n[^]*?<!-- \/from the code -->/g

export type Page = { file: string; text: string; wanted: string; tables: string[] }

export const languageOf = (file: string): Language => (/(^|[./])zh[-./]/.test(file) ? 'zh' : 'en')

/** Throws where a page asks for a table that there is not. */
export function fill(file: string, text: string, root: string): { text: string; tables: string[] } {
  const tables: string[] = []
  const filled = text.replaceAll(BLOCK, (_, name: string) => {
    const made = TABLES[name]
    if (!made)
      throw new Error(`${file}: there is no table "${name}". There are: ${Object.keys(TABLES).join(', ')}`)
    tables.push(name)
    return `<!-- from the code: ${name} -->\n\n${made(languageOf(file), root)}\n\n<!-- /from the code -->`
  })
  return { text: filled, tables }
}

/** What a heading is called in an address: as the hosts of repositories do it, so that one link serves there and here. */
export const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
    .replaceAll(/\s/g, '-')

/** Every file that is tracked, and what is about to be. */
export const projectFiles = (root: string, ...patterns: string[]): string[] =>
  execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...patterns], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '')

/** Every Markdown page of the project. */
export const readPages = (root: string): Page[] =>
  projectFiles(root, '*.md').map((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const filled = fill(file, text, root)
    return { file, text, wanted: filled.text, tables: filled.tables }
  })

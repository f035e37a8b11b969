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

/** Every Markdown page of the project. */
export function readPages(root: string): Page[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
    cwd: root,
    encoding: 'utf8',
  })
  return listed
    .split('\n')
    .filter((file) => file !== '')
    .map((file) => {
      const text = readFileSync(join(root, file), 'utf8')
      const filled = fill(file, text, root)
      return { file, text, wanted: filled.text, tables: filled.tables }
    })
}

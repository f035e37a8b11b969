import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { projectFiles } from '../../local/docs/pages'

/** Chinese that people read is written as Chinese: its punctuation is as wide as its characters. */
const root = resolve(__dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** A Chinese character or mark, then a narrow mark; or the other way round. What stands between is only how it looks. */
const NARROW =
  /[\u4e00-\u9fff\u3001\u3002\uff00-\uffef][`*]*[,;:!?()]|[,;:!?()] ?[`*]*[\u4e00-\u9fff]|[\u4e00-\u9fff]\.(?=\s|$)/g

/** An English sentence may name a Chinese term. */
const isChinese = (text: string): boolean =>
  4 * (text.match(/[\u4e00-\u9fff]/g)?.length ?? 0) >= (text.match(/[A-Za-z]/g)?.length ?? 0)

const narrowMarks = (text: string): string[] =>
  [...text.matchAll(NARROW)].map(({ index }) => text.slice(Math.max(0, index - 12), index + 12))

const files = projectFiles(root)

/** What the programs say: comments are English, and may name a Chinese term in brackets. */
const programs = files.filter((file) =>
  /^(functions|shared|cli|local|deploy|web|examples)\/.*\.(ts|js|mjs)$/.test(file),
)

/** Lines of every text in it; what a template puts in is left out. A line for a shell is no sentence. */
function textsOf(file: string): string[] {
  const texts: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text)
    if (ts.isTemplateExpression(node))
      texts.push(node.head.text + node.templateSpans.map(({ literal }) => ` … ${literal.text}`).join(''))
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true))
  return texts.flatMap((text) => text.split('\n')).filter((line) => !/^[A-Z_]+=\$\(/.test(line))
}

test.each(programs)('%s says it with wide marks', (file) => {
  expect(textsOf(file).filter(isChinese).flatMap(narrowMarks)).toEqual([])
})

const pages = files.filter((file) => /zh.*\.md$|^(web|examples)\/.*\.(html|wxml)$/.test(file))

test.each(pages)('%s has wide marks', (file) => {
  const prose = read(file)
    // Of code its comments are read.
    .replaceAll(/```[^]*?```/g, (code) =>
      [...code.matchAll(/(?:#|\/\/) (.*)/g)].map(([, told]) => told).join('\n'),
    )
    // A code span and an address are read as one word.
    .replaceAll(/`[^`\n]*`/g, '码')
    .replaceAll(/\]\([^)\s]*\)/g, ']')
  expect(
    prose
      .split('\n')
      .filter((line) => /[\u4e00-\u9fff]/.test(line.replaceAll('码', '')))
      .flatMap(narrowMarks),
  ).toEqual([])
})

test('finds narrow marks', () => {
  expect(narrowMarks('等待,然后重试')).toHaveLength(1)
  expect(narrowMarks('状态(例如 paid)')).toHaveLength(1)
  expect(narrowMarks('结束.')).toHaveLength(1)
  expect(narrowMarks('等待，然后重试（同一个号码）。Cloud Pay, 1:2')).toEqual([])
  expect(pages.length).toBeGreaterThan(0)
})

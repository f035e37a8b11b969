import type { Profiler } from 'node:inspector'
import ts from 'typescript'

/**
 * Branch coverage, counted on the bundle itself. V8 says how often each stretch of the script ran; which branches there
 * are V8 does not say, so they are found in the syntax: both ways of an `if` (also where no `else` is written) and of
 * `?:`, the right side of `&&`, `||` and `??`, every `case`, every `catch`. Default values are not counted: V8 has no
 * stretch for them.
 */
export type Branches = { total: number; taken: number; missing: string[] }

type Arm = { at: number; line: number; text: string; unlike?: number }

/** By the name of what is covered: a file, or `file#function`. */
export function countBranches(
  script: string,
  coverage: Profiler.ScriptCoverage,
  covers: readonly string[],
): Record<string, Branches> {
  const source = ts.createSourceFile('bundle.js', script, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS)
  const regions = regionsOf(script)
  const ranges = coverage.functions
    .flatMap((one) => one.ranges)
    .sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  const count = counter(ranges)
  const arms = armsOf(source, script)

  const result: Record<string, Branches> = {}
  for (const name of covers) {
    const [file, functionName] = name.split('#') as [string, string | undefined]
    const inFile = regions.filter((region) => region.file === file)
    if (inFile.length === 0) throw new Error(`${file} is not in the bundle`)
    const within = functionName === undefined ? inFile : functionsOf(source, inFile, functionName)
    const own = arms.filter(({ at }) => within.some(({ start, end }) => at >= start && at < end))
    const missing = own.filter(({ at, unlike }) =>
      unlike === undefined ? count(at) === 0 : count(unlike) <= count(at),
    )
    result[name] = {
      total: own.length,
      taken: own.length - missing.length,
      missing: missing.map(({ text, unlike }) => (unlike === undefined ? text : `never past: ${text}`)),
    }
  }
  return result
}

type Region = { file: string; start: number; end: number }

/** esbuild writes each module's path above it. */
function regionsOf(script: string): Region[] {
  const heads = [...script.matchAll(/^\/\/ (\S+\.[cm]?[jt]s)$/gm)]
  return heads.map((head, at) => ({
    file: head[1]!,
    start: head.index,
    end: heads[at + 1]?.index ?? script.length,
  }))
}

function functionsOf(source: ts.SourceFile, regions: Region[], name: string): Region[] {
  const found: Region[] = []
  const look = (node: ts.Node) => {
    const own =
      (ts.isFunctionDeclaration(node) || ts.isVariableDeclaration(node)) &&
      node.name &&
      ts.isIdentifier(node.name) &&
      // A name that two modules have gets a number in the bundle.
      new RegExp(`^${name}\\d*$`).test(node.name.text)
    if (own && regions.some(({ start, end }) => node.getStart() >= start && node.end <= end))
      found.push({ file: name, start: node.getStart(), end: node.end })
    else ts.forEachChild(node, look)
  }
  look(source)
  if (found.length === 0) throw new Error(`no function ${name} in the bundle`)
  return found
}

/** How often the innermost stretch around a place ran. */
function counter(ranges: Profiler.CoverageRange[]): (at: number) => number {
  return (at) => {
    let innermost: Profiler.CoverageRange | undefined
    for (const range of ranges) {
      if (range.startOffset > at) break
      const isInside = at < range.endOffset
      if (
        isInside &&
        (!innermost || range.endOffset - range.startOffset <= innermost.endOffset - innermost.startOffset)
      )
        innermost = range
    }
    return innermost?.count ?? 0
  }
}

const LOGICAL = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
  ts.SyntaxKind.AmpersandAmpersandEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
])

function armsOf(source: ts.SourceFile, script: string): Arm[] {
  const arms: Arm[] = []
  const lineOf = (at: number) => source.getLineAndCharacterOfPosition(at).line + 1
  const textOf = (node: ts.Node) =>
    script.slice(node.getStart(), node.end).replaceAll(/\s+/g, ' ').slice(0, 100)
  const add = (node: ts.Node | undefined, more: Partial<Arm> = {}) => {
    if (!node) return
    const at = node.getStart()
    arms.push({ at, line: lineOf(at), text: textOf(node), ...more })
  }
  const look = (node: ts.Node) => {
    if (ts.isIfStatement(node)) {
      add(node.thenStatement)
      if (node.elseStatement) add(node.elseStatement)
      else
        add(node.thenStatement, {
          unlike: node.expression.getStart(),
          text: `if (${textOf(node.expression)})`,
        })
    } else if (ts.isConditionalExpression(node)) {
      add(node.whenTrue)
      add(node.whenFalse)
    } else if (ts.isBinaryExpression(node) && LOGICAL.has(node.operatorToken.kind)) add(node.right)
    else if (ts.isCaseOrDefaultClause(node)) add(node.statements[0])
    else if (ts.isCatchClause(node)) add(node.block)
    ts.forEachChild(node, look)
  }
  look(source)
  return arms
}

import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { basename, join } from 'node:path'
import { Marked } from 'marked'
import { escape, selfContained } from '../html'
import type { Page } from '../openapi/pages'
import { ordersPage } from './ordersPage'
import { anchorOf } from './pages'
import { REFERENCE } from './reference'
import type { Language } from './tables'

/**
 * The guides at `npm start`'s address: `/docs` leads to the reader's language, `/docs/en/api` is docs/en/api.md as a page
 * that stands by itself, with no script and a style its policy knows by hash. `/llms.txt` lists them for programs that read.
 */
const STYLE = `
:root { color-scheme: light dark; --quiet: #667085; --line: #8886; --face: #8881 }
body { margin: 0 auto; padding: 1.25rem 1.25rem 30vh; max-width: 52rem; line-height: 1.65;
  font-family: system-ui, -apple-system, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; padding-bottom: 0.75rem; border-bottom: 1px solid var(--line) }
nav a[aria-current] { font-weight: 600; text-decoration: none }
a { color: inherit; text-underline-offset: 0.2em }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.25rem } h3 { font-size: 1rem }
:is(h2, h3):target { background: #f5b70033 }
code { font: 0.875em ui-monospace, SFMono-Regular, Menlo, monospace; background: var(--face); padding: 0.1em 0.25em;
  border-radius: 0.25em; overflow-wrap: anywhere }
pre { background: var(--face); padding: 0.75rem 1rem; border-radius: 0.5rem; overflow-x: auto }
pre code { background: none; padding: 0; overflow-wrap: normal }
div.table { overflow-x: auto } table { border-collapse: collapse; font-size: 0.9rem; min-width: 100% }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.75rem 0.35rem 0; border-bottom: 1px solid var(--line) }
td:first-child code, th code { white-space: nowrap }
th, td { min-width: 4em } td:last-child { min-width: 13rem }
`

const NAMES = [
  'quickstart',
  'mini-program',
  'merchant-server',
  'pages',
  'api',
  'errors',
  'configuration',
  'deploy',
  'upgrade',
  'many-merchants',
  'operations',
]

const WORDS = {
  en: { lang: 'en', other: '中文', reference: 'Reference', console: 'Console', named: 'Guides' },
  zh: { lang: 'zh-CN', other: 'English', reference: '接口参考', console: '控制台', named: '文档' },
} as const

type Guide = { name: string; title: string; first: string; text: string }

function readGuides(root: string, language: Language): Guide[] {
  const folder = join(root, 'docs', language)
  const there = readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .map((file) => basename(file, '.md'))
  // One that is not in the list yet comes last.
  const order = (name: string) => (NAMES.includes(name) ? NAMES.indexOf(name) : NAMES.length)
  return there
    .sort((one, other) => order(one) - order(other))
    .map((name) => {
      const text = readFileSync(join(folder, `${name}.md`), 'utf8')
      const [, title = name] = /^# (.+)$/m.exec(text) ?? []
      const first = text
        .split(/\n\n+/)
        .find((block) => /^[^#`|<]/.test(block))
        ?.replaceAll(/\s+/g, ' ')
      return { name, title, first: first ?? '', text }
    })
}

/** Links between guides lead to their pages; what else they name is a file of the repository, and is shown as one. */
function render(text: string): string {
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text: heading }) {
        return `<h${depth} id="${escape(anchorOf(heading))}">${this.parser.parseInline(tokens)}</h${depth}>\n`
      },
      link({ href, tokens }) {
        const shown = this.parser.parseInline(tokens)
        const [, name, anchor = ''] = /^([\w-]+)\.md(#.*)?$/.exec(href) ?? []
        if (name !== undefined) return `<a href="${escape(name + anchor)}">${shown}</a>`
        if (/^(https?:|#)/.test(href)) return `<a href="${escape(href)}" rel="noreferrer">${shown}</a>`
        const file = href.replace(/^(\.\.\/)+/, '')
        return file === shown ? `<code>${escape(file)}</code>` : `${shown} (<code>${escape(file)}</code>)`
      },
      // A comment marks what comes from the code; nobody has to see it.
      html: () => '',
    },
  })
  const html = marked.parse(joinChinese(text), { async: false })
  return html.replaceAll('<table>', '<div class="table"><table>').replaceAll('</table>', '</table></div>')
}

/** Between two lines of a paragraph a browser shows a blank, which Chinese does not have. Code is left as it is. */
const joinChinese = (text: string): string =>
  text
    .split(/(^ *```[^]*?^ *```)/m)
    .map((part) =>
      part.trimStart().startsWith('```')
        ? part
        : part.replaceAll(/(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef])\n *(?=[^\s|#<\d-])/g, ''),
    )
    .join('')

function pageOf(language: Language, guides: readonly Guide[], { name, title, text }: Guide): Page {
  const words = WORDS[language]
  const links = guides.map(
    (one) =>
      `<a href="/docs/${language}/${one.name}"${one.name === name ? ' aria-current="page"' : ''}>${escape(one.title)}</a>`,
  )
  const other = language === 'en' ? 'zh' : 'en'
  const body = `<!doctype html>
<html lang="${words.lang}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
<nav aria-label="${words.named}">${links.join('\n')}
<a href="/docs/reference">${words.reference}</a>
<a href="/">${words.console}</a>
<a href="/docs/${other}/${name}" lang="${WORDS[other].lang}">${words.other}</a></nav>
<main>
${render(text)}</main>
</html>
`
  return {
    status: 200,
    headers: { ...selfContained(STYLE), 'cache-control': 'no-cache' },
    body,
  }
}

/** Chinese, unless the browser asks for English before it. */
export function languageAsked(headers: IncomingHttpHeaders): Language {
  const asked = (headers['accept-language'] ?? '')
    .split(',')
    .map((one) => one.trim().slice(0, 2).toLowerCase())
  const first = asked.find((one) => one === 'zh' || one === 'en')
  return first === 'en' ? 'en' : 'zh'
}

/** What stands at this path for whoever reads: made when it is asked for, or nothing. */
export function readersPageAt(root: string, path: string, headers: IncomingHttpHeaders): Page | undefined {
  if (path === '/llms.txt') return llms(root)
  if (Object.hasOwn(REFERENCE, path)) return REFERENCE[path]!()
  // A program that reads /orders hears 404, as from the functions; a person who looks is told what it is.
  if (path === '/orders' && headers.accept?.includes('text/html')) return { status: 200, ...ordersPage() }
  const [, language, name] = /^\/docs(?:\/(en|zh))?(?:\/([\w-]*))?$/.exec(path) ?? []
  if (!path.startsWith('/docs')) return undefined
  if (language === undefined || !name) {
    if (path.replace(/\/$/, '') !== '/docs' && language === undefined) return undefined
    const to = language ?? languageAsked(headers)
    return { status: 302, headers: { location: `/docs/${to}/quickstart`, vary: 'accept-language' }, body: '' }
  }
  const guides = readGuides(root, language as Language)
  const guide = guides.find((one) => one.name === name)
  return guide && pageOf(language as Language, guides, guide)
}

/** As llmstxt.org has it. */
function llms(root: string): Page {
  const lists = (['en', 'zh'] as const).map((language) => {
    const lines = readGuides(root, language).map(
      ({ name, title, first }) => `- [${title}](/docs/${language}/${name}): ${first.slice(0, 140)}`,
    )
    return `## ${WORDS[language].named} (${WORDS[language].lang})\n\n${lines.join('\n')}`
  })
  const body = `# Cloud Pay on SCF

> A payment backend for Tencent Cloud Pay, deployed as functions on Tencent SCF.

${lists.join('\n\n')}

## Interface

- [OpenAPI 3.1](/openapi.json): every door, field, answer and code
- [Error codes](/errors): cause and cure of each, in Chinese and English
`
  return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

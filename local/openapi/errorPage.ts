import { FAULTS, type FaultCode } from '../../shared/base/errors'
import { escape, selfContained } from '../html'
import { FAULT_CODES, FAULT_HELP, MEMBERS, RETRIES, type Text } from './faults'
import { codesOf, OPERATIONS } from './operations'

const STYLE = `
:root { color-scheme: light dark; --quiet: #667085; --line: #d0d5dd55; --mark: #f5b70033 }
body { margin: 0 auto; padding: 2rem 1.25rem 40vh; max-width: 60rem; line-height: 1.6;
  font-family: system-ui, -apple-system, 'PingFang SC', 'Microsoft YaHei', sans-serif }
h1 { font-size: 1.5rem } h2 { font-size: 1rem; margin: 2.5rem 0 0.5rem; color: var(--quiet) }
h3 { font: 600 1.05rem ui-monospace, monospace; margin: 0 0 0.5rem }
a { color: inherit; text-underline-offset: 0.2em }
nav a { display: inline-block; margin: 0 1rem 0.25rem 0; font: 0.85rem ui-monospace, monospace }
article { padding: 1rem 0; border-top: 1px solid var(--line); scroll-margin-top: 1rem }
article:target { background: var(--mark); box-shadow: 0 0 0 0.75rem var(--mark) }
dl { display: grid; grid-template-columns: 7rem 1fr; gap: 0.25rem 1rem; margin: 0 }
dt { color: var(--quiet) } dd { margin: 0 } dd p { margin: 0 } p:lang(en) { color: var(--quiet) }
code { font: 0.9em ui-monospace, monospace }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr } dt { margin-top: 0.5rem } }
`

const inBoth = ({ zh, en }: Text): string => `<p lang="zh-CN">${escape(zh)}</p><p lang="en">${escape(en)}</p>`

const row = (zh: string, en: string, content: string): string =>
  `<dt>${zh} <span lang="en">${en}</span></dt><dd>${content}</dd>`

/**
 * Every code with its cause and cure, in Chinese and English, at `#code`. The page stands by itself: no script, nothing
 * fetched, and a style that its policy knows by hash.
 */
export function errorPage() {
  const statuses = [...new Set(FAULT_CODES.map((code) => FAULTS[code].status))].sort((a, b) => a - b)
  const withStatus = (status: number) => FAULT_CODES.filter((code) => FAULTS[code].status === status)
  const body = `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>错误码 / Error codes</title>
<style>${STYLE}</style>
<h1>错误码 <span lang="en">Error codes</span></h1>
${inBoth({
  zh: '程序只看 code，它是稳定的。request_id 用来在日志里查找原因。',
  en: 'Programs go by code, which is stable. The request_id finds the cause in the log.',
})}
<nav>${FAULT_CODES.map((code) => `<a href="#${code}">${code}</a>`).join('')}</nav>
${statuses.map((status) => `<h2>${status}</h2>${withStatus(status).map(article).join('')}`).join('\n')}
</html>
`
  return { headers: selfContained(STYLE), body }
}

function article(code: FaultCode): string {
  const { cause, cure, retry, members } = FAULT_HELP[code]
  const names = (Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]).filter((name) =>
    codesOf(name).includes(code),
  )
  const carried = members.map((member) => `<p><code>${member}</code> ${escape(both(MEMBERS[member]))}</p>`)
  return `
<article id="${code}"><h3><a href="#${code}">${code}</a></h3><dl>
${row('说明', 'message', inBoth(FAULTS[code]))}
${row('原因', 'cause', inBoth(cause))}
${row('处理', 'cure', inBoth(cure))}
${row('重试', 'retry', inBoth(RETRIES[retry]))}
${members.length > 0 ? row('附带', 'members', carried.join('')) : ''}
${names.length > 0 ? row('接口', 'where', names.map((name) => `<code>${name}</code>`).join('<br>')) : ''}
</dl></article>`
}

const both = ({ zh, en }: Text): string => `${zh} / ${en}`

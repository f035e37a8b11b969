import { createHash } from 'node:crypto'
import { errorPage } from '../../../local/openapi/errorPage'
import { FAULT_HELP } from '../../../local/openapi/faults'
import { FAULTS, type FaultCode } from '../../../shared/base/errors'

const { body, headers } = errorPage()
const plain = (text: string) =>
  text.replaceAll('&#39;', "'").replaceAll('&quot;', '"').replaceAll('&amp;', '&')

test.each(Object.keys(FAULTS) as FaultCode[])(
  '%s has its place, cause and cure in both languages',
  (code) => {
    const places = body.split(`<article id="${code}">`)
    expect(places).toHaveLength(2)
    const article = plain(places[1]!.split('</article>')[0]!)
    const { cause, cure } = FAULT_HELP[code]
    for (const { zh, en } of [FAULTS[code], cause, cure]) {
      expect(article).toContain(`<p lang="zh-CN">${zh}</p>`)
      expect(article).toContain(`<p lang="en">${en}</p>`)
    }
    expect(body).toContain(`<a href="#${code}">${code}</a>`)
  },
)

test('nothing is fetched, nothing runs, and the style is the one its policy knows', () => {
  expect(body).not.toMatch(/<script|<img|<link|\ssrc=|\son\w+=|https?:|url\(|\sstyle=/)
  const style = /<style>([^]*?)<\/style>/.exec(body)![1]!
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers['content-security-policy']).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
})

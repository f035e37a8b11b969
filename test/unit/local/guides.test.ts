import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../../deploy/bundle'
import { readersPageAt, languageAsked } from '../../../local/docs/site'
import { describedPages } from '../../../local/openapi/pages'

/** The guides as `npm start` serves them. */
const described = describedPages(ROOT, () => 'http://127.0.0.1:8700')
const at = (path: string, headers = {}) => described[path]?.() ?? readersPageAt(ROOT, path, headers)
const names = readdirSync(join(ROOT, 'docs/en')).map((file) => file.replace('.md', ''))
const paths = ['en', 'zh'].flatMap((language) => names.map((name) => `/docs/${language}/${name}`))

test.each([
  [undefined, 'zh'],
  ['zh-CN,zh;q=0.9,en;q=0.8', 'zh'],
  ['en-US,en;q=0.9,zh-CN;q=0.8', 'en'],
  ['fr, en;q=0.5', 'en'],
])('/docs leads whoever asks for %s to %s', (asked, language) => {
  expect(languageAsked({ 'accept-language': asked })).toBe(language)
  const page = at('/docs', { 'accept-language': asked })
  expect([page?.status, page?.headers['location']]).toEqual([302, `/docs/${language}/quickstart`])
})

test.each(['/docs/fr/api', '/docs/en/nothing', '/docs/en/../api', '/docsen', '/docs/en/api/more'])(
  'there is no page at %s',
  (path) => expect(at(path)).toBeUndefined(),
)

const hrefs = (body: string) => [...body.matchAll(/ href="([^"]+)"/g)].map(([, href]) => href!)

test.each(paths)('%s stands by itself, and its links lead somewhere', (path) => {
  const page = at(path)!
  expect(page.status).toBe(200)
  expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
  expect(page.body).not.toMatch(/<script|<img| style=| on[a-z]+=|<!-- /)
  expect(page.body).toContain(`<html lang="${path.includes('/zh/') ? 'zh-CN' : 'en'}">`)
  const astray = hrefs(page.body).filter((href) => {
    if (href.startsWith('https://')) return false
    const { pathname, hash } = new URL(href, `http://here${path}`)
    // These are built with the machine.
    if (pathname === '/') return false
    const goal = at(pathname)
    return (
      goal?.status !== 200 ||
      (hash !== '' && !goal.body.includes(`id="${decodeURIComponent(hash.slice(1))}"`))
    )
  })
  expect(astray).toEqual([])
})

test('a guide is in the reader’s language, and leads to the same one in the other', () => {
  expect(at('/docs/zh/api')!.body).toMatch(/<h1 id="接口">接口<\/h1>/)
  expect(hrefs(at('/docs/zh/api')!.body)).toContain('/docs/en/api')
  expect(hrefs(at('/docs/en/api')!.body)).toContain('/docs/zh/api')
})

test('lines of Chinese are one paragraph without a blank, and lines of code stay lines', () => {
  const { body } = at('/docs/zh/deploy')!
  expect(body).toMatch(/角色\nexport CLOUD_PAY_OUT_MCH_ID=/)
  const prose = body.replaceAll(/<pre>[^]*?<\/pre>/g, '')
  expect(prose).not.toMatch(/[\u4e00-\u9fff，。；]\n[\u4e00-\u9fff]/)
})

test('llms.txt lists every guide, and each is there', () => {
  const { headers, body } = at('/llms.txt')!
  expect(headers['content-type']).toMatch(/^text\/plain/)
  expect(body).toMatch(/^# .+\n\n> .+\n/)
  const listed = [...body.matchAll(/\]\((\/docs[^)]*)\): \S/g)].map(([, path]) => path!)
  expect(listed.sort()).toEqual([...paths].sort())
})

test('the reference is served from here alone, by a library', () => {
  const page = at('/docs/reference')!
  expect(page.headers['content-security-policy']).toContain("script-src 'self'")
  expect(page.headers['content-security-policy']).not.toContain('unsafe')
  const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!)
  expect(parts.length).toBe(3)
  for (const path of parts) expect([path, at(path)?.status]).toEqual([path, 200])
})

test('/orders in a browser says what it is', () => {
  expect(at('/orders', { accept: 'application/json' })).toBeUndefined()
  const { status, body } = at('/orders', { accept: 'text/html,application/xhtml+xml' })!
  expect(status).toBe(200)
  expect(body).toContain('POST /orders')
  expect(hrefs(body)).toEqual(expect.arrayContaining(['/docs/zh/api', '/docs/en/api', '/', '/board/']))
})

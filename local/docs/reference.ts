import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Page } from '../openapi/pages'

/**
 * The interface as people read it, made by Swagger UI from /openapi.json in the browser. It is served from this machine
 * alone, sends nothing ("Try it out" is off: a call needs a signature), and gets by with scripts and styles of its own files.
 */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const INDEX = `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>接口参考 / Reference</title>
<link rel="stylesheet" href="/docs/reference/swagger-ui.css">
<div id="reference"></div>
<script src="/docs/reference/swagger-ui-bundle.js"></script>
<script src="/docs/reference/start.js"></script>
</html>
`

const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  supportedSubmitMethods: [],
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  // Nobody signs in here: nothing is sent.
  plugins: [() => ({ wrapComponents: { authorizeBtn: () => () => null, authorizeOperationBtn: () => () => null } })],
})
const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()
`

const page = (type: string, body: string): Page => ({
  status: 200,
  headers: {
    'content-type': `${type}; charset=utf-8`,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  },
  body,
})

const fromLibrary = (file: string): string =>
  readFileSync(join(dirname(createRequire(__filename).resolve('swagger-ui-dist/package.json')), file), 'utf8')

/** By path; read when it is asked for. */
export const REFERENCE: Readonly<Record<string, () => Page>> = {
  '/docs/reference': () => page('text/html', INDEX),
  '/docs/reference/start.js': () => page('text/javascript', START),
  '/docs/reference/swagger-ui.css': () => page('text/css', fromLibrary('swagger-ui.css')),
  '/docs/reference/swagger-ui-bundle.js': () => page('text/javascript', fromLibrary('swagger-ui-bundle.js')),
}

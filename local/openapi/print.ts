import { ROOT } from '../../deploy/bundle'
import { errorPage } from './errorPage'
import { describedText } from './pages'

/**
 * `npm run openapi` prints the OpenAPI document; `-- --server https://pay.example.com` says where it answers, `-- --errors`
 * prints the page of error codes in its place.
 */
const given = process.argv.slice(2)
const at = given.indexOf('--server')
const server = at < 0 ? 'http://127.0.0.1:8700' : (given[at + 1] ?? '')
try {
  if (!URL.canParse(server)) throw new Error('--server needs an address, such as https://pay.example.com')
  process.stdout.write(given.includes('--errors') ? errorPage().body : describedText(ROOT, server))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

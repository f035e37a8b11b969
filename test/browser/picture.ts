import { spawnSync } from 'node:child_process'
import { copyFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * `npm run picture`: the console with a paid order, as the README shows it. The browser suite takes the picture, into
 * .build; only this command puts it into docs/.
 */
const root = resolve(__dirname, '../..')
const jest = ['jest', 'test/browser/console.test.ts', '-t', 'an order is paid in the phone']
const { status } = spawnSync('npx', jest, {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, REQUIRE_BROWSER: '1' },
})
if (status === 0) {
  const picture = join(root, 'docs', 'console.png')
  copyFileSync(join(root, '.build', 'screenshots', 'console-3-paid-1280x800.png'), picture)
  console.log(`docs/console.png is written, ${Math.round(statSync(picture).size / 1024)} KB`)
} else {
  process.exitCode = 1
}

import { runCommand } from '../../support/cli'

/** Without any configuration but a file: whatever is refused was refused before anything was read or asked. */
const reconcile = (...args: string[]) =>
  runCommand('cli/reconcile.ts', args, { env: { DATABASE_URL: 'sqlite:nowhere.db' } })

test('a day that does not exist is called wrongly: one sentence, and nothing is asked', async () => {
  const days = ['2026-02-30', '2026-02-29', '2026-13-01', '2026-04-31', '2026-1-1', 'today', '']
  const answers = await Promise.all(days.map((day) => reconcile('--day', day)))
  for (const [at, { code, stdout, stderr }] of answers.entries()) {
    expect([days[at], code, stdout]).toEqual([days[at], 2, ''])
    expect(stderr).toMatch(
      /^--day must be a day there is, written like 2026-11-22\. Nothing was asked\.\nnpm run/,
    )
  }
})

test('a day there is gets as far as the configuration, a leap day too; none at all gets the usage', async () => {
  const [leap, none] = await Promise.all([reconcile('--day', '2028-02-29'), reconcile()])
  expect([leap.code, none.code]).toEqual([1, 2])
  expect(leap.stderr).toContain('CLOUD_PAY_AUTHEN_KEY')
  expect(none.stderr).toMatch(/^npm run reconcile/)
})

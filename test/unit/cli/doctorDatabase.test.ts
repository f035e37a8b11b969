import { lookAtDatabase } from '../../../cli/doctor/database'
import type { Finding } from '../../../cli/doctor/finding'
import { systemClock } from '../../../shared/base/time'

const wrongs = (findings: readonly Finding[]) =>
  findings.flatMap((finding) => (finding.is === 'wrong' ? [`${finding.of}: ${finding.said}`] : []))

test('a password is not told with what went wrong', async () => {
  const findings = await lookAtDatabase(
    { DATABASE_URL: 'mysql://payer:hunter2hunter@127.0.0.1:1/o' },
    systemClock,
  )
  expect(wrongs(findings)).toEqual([expect.stringContaining('cannot connect to the database')])
  expect(JSON.stringify(findings)).not.toContain('hunter2hunter')
})

test('one that only the functions can reach is left to them', async () => {
  const findings = await lookAtDatabase({ DATABASE_URL: 'ssm:cloud-pay-prod-database-url' }, systemClock)
  expect(findings).toMatchObject([{ is: 'left_out' }])
})

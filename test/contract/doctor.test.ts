import { lookAtDatabase } from '../../cli/doctor/database'
import type { Finding } from '../../cli/doctor/finding'
import { systemClock } from '../../shared/base/time'
import { describeKinds } from './kinds'
import { setUp } from './ready'
import { MIGRATIONS } from '../support/migrationNames'

jest.setTimeout(30_000)

const wrongs = (findings: readonly Finding[]) =>
  findings.flatMap((finding) => (finding.is === 'wrong' ? [`${finding.of}: ${finding.said}`] : []))

/** What the doctor says of a database, on each there is. */
describeKinds((kind) => {
  const { ready, fresh, open, sessions } = setUp(kind)
  const look = (url: string, clock = systemClock) => lookAtDatabase({ DATABASE_URL: url }, clock)

  test('one that is migrated is well', async () => {
    const findings = await look(await fresh())
    expect(wrongs(findings)).toEqual([])
    const of = ['database', "database's clock", 'migrations', 'charset']
    if (kind.dialect === 'postgres') of.push('isolation')
    if (kind.dialect === 'mysql') of.push('collation', 'isolation', 'binary log')
    expect(findings.map((finding) => finding.of)).toEqual(of)
  })

  test('an empty one is told of, and stays empty', async () => {
    const url = await ready().freshDatabase()
    // A file that is not there would be made by looking.
    if (kind.dialect === 'sqlite') {
      expect(await look(url)).toMatchObject([{ is: 'left_out' }])
      await sessions(url, (session) => session.rows('select 1'))
    }
    for (let nth = 0; nth < 2; nth++) {
      const findings = await look(url)
      expect(wrongs(findings)).toEqual([`migrations: not applied: ${MIGRATIONS.join(', ')}`])
    }
    await expect(open(url).db.selectFrom('orders').selectAll().execute()).rejects.toThrow()
  })

  test('clocks that are a minute apart are told of', async () => {
    const late = { ...systemClock, nowMs: () => Date.now() + 60_000 }
    expect(wrongs(await look(await fresh(), late))).toEqual([
      expect.stringMatching(/^database's clock: (59|60)/),
    ])
  })

  if (kind.dialect !== 'mysql') return
  test('tables that take two numbers for one are told of', async () => {
    const url = await fresh()
    await sessions(url, (session) =>
      session.rows('alter table refunds convert to character set utf8mb4 collate utf8mb4_general_ci'),
    )
    expect(wrongs(await look(url))).toEqual(['collation: refunds would take aB and Ab for one number'])
  })
})

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

import { lookAtDatabase } from '../../cli/doctor/database'
import type { Finding } from '../../cli/doctor/finding'
import { systemClock } from '../../shared/base/time'
import { setUp, type Kind } from './ready'
import { MIGRATIONS } from '../support/migrationNames'

const wrongs = (findings: readonly Finding[]) =>
  findings.flatMap((finding) => (finding.is === 'wrong' ? [`${finding.of}: ${finding.said}`] : []))

/** What `npm run doctor` says of a database. */
export function doctorContract(kind: Kind): void {
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
    const url = await fresh()
    const beganMs = Date.now()
    const [told, ...more] = wrongs(await look(url, late))
    const tookS = (Date.now() - beganMs) / 1000
    expect(more).toEqual([])
    const [, apartS] = /^database's clock: ([\d.]+) s/.exec(told ?? '') ?? []
    // Ours is read first, so they are as much nearer as the machine takes to the other; told in tenths.
    expect(Number(apartS)).toBeLessThanOrEqual(60.1)
    expect(Number(apartS)).toBeGreaterThanOrEqual(60 - tookS - 0.1)
  })

  if (kind.dialect !== 'mysql') return
  test('tables that take two numbers for one are told of', async () => {
    const url = await fresh()
    await sessions(url, (session) =>
      session.rows('alter table refunds convert to character set utf8mb4 collate utf8mb4_general_ci'),
    )
    expect(wrongs(await look(url))).toEqual(['collation: refunds would take aB and Ab for one number'])
  })
}

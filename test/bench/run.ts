import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../deploy/bundle'
import { Secret } from '../../shared/base/secrets'
import { systemClock } from '../../shared/base/time'
import { migrate } from '../../shared/store/migrate'
import { openStore } from '../../shared/store/open'
import { makeCertificates } from '../support/certificates'
import { startMariadb, startPostgres, type Server } from '../support/servers'
import { testEnv } from '../support/world'
import { BUNDLES, clean, OUT } from './build'
import { measuredCommit } from './commits'
import { isSmoke } from './effort'
import { startFar } from './far'
import type { Env } from './measure'
import { lookAround, PEERS_FOLDER, type ServerDialect } from './missing'
import { loadText, openReport, resultsText } from './report'
import { bundleFolder, coldMysql, coldPostgres, coldWechatpay } from './rows'
import { loads, moves, signing, sizes, warm } from './rows'
import { backlogs, billOfDay, idleRuns } from './timer'

/** Only what concerns the timer, and no file. */
const isTimerOnly = process.argv.includes('--timer')

/** `npm run bench`: every row, and RESULTS.md. With `--smoke` every row once, to see that it runs, and no file. */
async function main(): Promise<void> {
  const startedMs = performance.now()
  const loadBefore = loadText()
  const commit = measuredCommit()
  const { servers, peers, leftOut } = lookAround(true)
  const report = openReport()
  const dir = mkdtempSync(join(tmpdir(), 'bench-'))
  const running: { stop(): Promise<void> }[] = []
  try {
    const certificates = makeCertificates(dir)
    const rsa = writeRsaKeys(dir)
    clean()
    mkdirSync(OUT, { recursive: true })
    // So that what is required from the built files is found here first, and then at the root.
    symlinkSync(PEERS_FOLDER, join(OUT, 'node_modules'))
    for (const drivers of BUNDLES) await bundle({ drivers, outdir: bundleFolder(drivers) })

    const far = await startFar(certificates)
    running.push(far)
    const envFor = (database: string): Env => ({
      ...testEnv,
      CLOUD_PAY_BASE_URL: far.sandbox,
      CLOUD_PAY_CA_FILE: certificates.caFile,
      DATABASE_URL: database,
    })
    const timerRows = async (dialect: ServerDialect, server: Server) => {
      await backlogs(report, dialect, await freshSchema(dialect, server))
      await idleRuns(report, dialect, await freshSchema(dialect, server))
    }
    if (!isTimerOnly) {
      sizes(report)
      await loads(report)
      await signing(report, peers, { RSA_PRIVATE_KEY_FILE: rsa.private, RSA_PUBLIC_KEY_FILE: rsa.public })
    }
    if (servers.includes('mysql')) {
      const server = await startMariadb()
      running.push(server)
      if (!isTimerOnly) {
        const env = envFor(await freshSchema('mysql', server))
        await coldMysql(report, server, env)
        if (peers.includes('wechatpay-node-v3')) {
          const wechat = { CLOUD_PAY_BASE_URL: far.wechat, WECHATPAY_KEY_FILE: rsa.private }
          await coldWechatpay(report, env, { ...env, ...wechat })
        }
        await warm(report, server, env)
        await moves(report, 'mysql', server, env)
      }
      await timerRows('mysql', server)
    }
    if (servers.includes('postgres')) {
      const server = await startPostgres()
      running.push(server)
      if (!isTimerOnly) {
        const env = envFor(await freshSchema('postgres', server))
        await coldPostgres(report, server, env)
        await moves(report, 'postgres', server, env)
      }
      await timerRows('postgres', server)
    }
    await billOfDay(report)
  } finally {
    await Promise.all(running.map((one) => one.stop()))
    rmSync(dir, { recursive: true, force: true })
  }

  const tookS = (performance.now() - startedMs) / 1000
  console.log()
  if (isSmoke) {
    console.log(`${report.rows.length} rows ran once, in ${tookS.toFixed(0)} s; their figures say nothing.`)
  } else if (!isTimerOnly) {
    const file = join(__dirname, 'RESULTS.md')
    const text = resultsText(report, { commit, loadBefore, tookS, leftOut })
    writeFileSync(file, text)
    console.log(`${report.missed()} targets missed; written to ${file}`)
  }
  for (const one of leftOut) console.log(`left out: ${one}`)
}

/** For the libraries that sign with them. */
function writeRsaKeys(dir: string): { private: string; public: string } {
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const files = { private: join(dir, 'rsa.key'), public: join(dir, 'rsa.pub') }
  writeFileSync(files.private, keys.privateKey, { mode: 0o600 })
  writeFileSync(files.public, keys.publicKey)
  return files
}

async function freshSchema(dialect: ServerDialect, server: Server): Promise<string> {
  const url = await server.freshDatabase()
  const store = openStore({ dialect, url: new Secret(url) }, systemClock)
  await migrate(store)
  await store.close()
  return url
}

main().catch((error: unknown) => {
  console.error(error)
  // Workers end with this process: their input closes.
  process.exit(1)
})

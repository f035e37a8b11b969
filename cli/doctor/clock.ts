import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { ok, leftOut, wrong, type Finding } from './finding'

/** Signed calls to the cloud are refused beyond five minutes, and an order's expiry goes by our clock. */
const SKEW_MAX_MS = 60_000
const TIMEOUT_MS = 3000

/** Our clock against the Date header of somebody who has a good one. */
export async function lookAtClock(url: string, nowMs: () => number): Promise<Finding> {
  const of = 'clock'
  const { host } = new URL(url)
  let theirsMs: number
  const startMs = nowMs()
  try {
    theirsMs = await dateOf(url)
  } catch {
    return leftOut(of, `${host} did not answer, so it could not be compared`)
  }
  if (Number.isNaN(theirsMs)) return leftOut(of, `${host} does not tell the time`)
  // Whole seconds, so half a one is to be added; and the answer took half of the way.
  const offMs = (startMs + nowMs()) / 2 - (theirsMs + 500)
  const said = `${Math.abs(Math.round(offMs / 1000))} s ${offMs < 0 ? 'behind' : 'ahead of'} ${host}`
  return Math.abs(offMs) <= SKEW_MAX_MS
    ? ok(of, said)
    : wrong(of, said, 'Set the clock of this machine (chronyc, timedatectl, or the settings of the system).')
}

const dateOf = (url: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const request = new URL(url).protocol === 'http:' ? plain : secure
    const asking = request(url, { method: 'HEAD', timeout: TIMEOUT_MS, agent: false }, (response) => {
      response.resume()
      resolve(Date.parse(response.headers.date ?? ''))
    })
    asking.on('timeout', () => asking.destroy(new Error('timeout')))
    asking.on('error', reject)
    asking.end()
  })

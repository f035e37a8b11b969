import { routes as closeRoutes } from '../../functions/closeOrder'
import { routes as createRoutes } from '../../functions/createOrder'
import { routes as notifyRoutes } from '../../functions/notify'
import { routes as refundRoutes } from '../../functions/refund'
import { routes as statusRoutes } from '../../functions/status'
import { sandboxEnv } from '../../local/sandbox/env'
import { createApp, type App, type Overrides } from '../../shared/app'
import { readConfig } from '../../shared/base/config'
import { systemClock } from '../../shared/base/time'
import { door, type ScfContext } from '../../shared/http/door'
import { openStore } from '../../shared/store/open'
import { MISTAKES } from '../support/judging'
import { watch, type Tally } from './tally'

export type AppOrders = {
  url: string
  baseUrl: string
  env?: Record<string, string>
  lookAtWill?: boolean
}

export type Answer = {
  statusCode: number
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- races look into it freely
  body: any
}

export type Role = {
  app: App
  call(event: Record<string, unknown>, remainingMs?: number): Promise<Answer>
}

let requests = 0

/** An instance: one App, one connection, all doors. */
export async function openRole(
  { url, baseUrl, env, lookAtWill }: AppOrders,
  tally: Tally,
  overrides: Overrides = {},
): Promise<Role> {
  const config = readConfig({ ...sandboxEnv(baseUrl, url, '127.0.0.1'), ...env })
  const store = overrides.store ?? openStore(config.database, systemClock)
  watch(store, tally, lookAtWill ? { lookAtWill } : {})
  const app = await createApp(config, { write: noteMistakes, ...overrides, store })
  const handle = door(async () => app, app.log, [
    ...createRoutes,
    ...statusRoutes,
    ...notifyRoutes,
    ...closeRoutes,
    ...refundRoutes,
  ])
  return {
    app,
    async call(event, remainingMs = 20_000) {
      const context: ScfContext = {
        request_id: `${process.pid}-${++requests}`,
        getRemainingTimeInMillis: () => remainingMs,
      }
      const { statusCode, body } = await handle({ headers: {}, queryString: {}, body: '', ...event }, context)
      return { statusCode, body: JSON.parse(body) as unknown }
    },
  }
}

/** What a handler swallows as "try again later" and is a mistake of ours. */
export const mistakes: string[] = []
export function noteMistakes(line: string): void {
  if (MISTAKES.test(line)) mistakes.push(line.slice(0, 400))
}

import { readService, type Service, type Yml } from '../../../deploy/service'

/** A small service of three functions; `change` says what a test wants different. */
export function wantedService(change: (yml: Yml) => void = () => undefined): Service {
  const yml: Yml = {
    service: 'shop',
    provider: {
      region: 'ap-guangzhou',
      runtime: 'Nodejs18.15',
      memorySize: 256,
      timeout: 10,
      environment: { CALLERS: 'own', LEVEL: 1 },
    },
    functions: {
      createOrder: {
        handler: 'createOrder.main_handler',
        reservedConcurrency: 4,
        events: [{ http: { method: 'POST', path: '/orders' } }],
      },
      notify: { handler: 'notify.main_handler', events: [{ http: { method: 'POST', path: '/notify' } }] },
      timer: { handler: 'timer.main_handler', events: [{ timer: { cron: '*/20 * * * * * *' } }] },
      migrate: { handler: 'migrate.main_handler', timeout: 300 },
    },
  }
  change(yml)
  return readService(yml, 'dev')
}

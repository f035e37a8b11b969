import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../../../deploy/bundle'
import { readLocalStage } from '../../../deploy/localStage'
import { hideSecrets } from '../../../deploy/print'
import { refuseService } from '../../../deploy/refuse'
import { tellUntaken, untakenVariables } from '../../../deploy/variables'
import { VARIABLES } from '../../../local/docs/variables'
import { SIGNED_HEADERS } from '../../../shared/access/signed'
import { sandboxEnv } from '../../../local/sandbox/env'
import { wantedService } from './wanted'

test('names carry service and stage; what a function does not say comes from the provider', () => {
  const [createOrder, , , migrate] = wantedService().functions
  expect(createOrder).toMatchObject({
    name: 'shop-dev-createOrder',
    configuration: { timeout: 10, memorySize: 256 },
  })
  expect(migrate!.configuration.timeout).toBe(300)
})

test('a variable without a value is left out, and a function adds its own', () => {
  const { functions } = wantedService((yml) => {
    yml.provider.environment = { A: null, B: '', C: 1, D: true }
    yml.functions['migrate']!.environment = { C: 2, E: 'x' }
  })
  expect(functions[0]!.configuration.environment).toEqual({ C: '1', D: 'true' })
  expect(functions[3]!.configuration.environment).toEqual({ C: '2', D: 'true', E: 'x' })
})

test('one URL carries all the paths of a function; timers are named', () => {
  const { functions } = wantedService((yml) => {
    yml.functions['createOrder']!.events!.push({ http: { method: 'GET', path: '/orders' } })
    yml.functions['timer']!.events!.push({ timer: { cron: '0 0 3 * * * *' } })
  })
  expect(functions[0]!.triggers.map(({ type }) => type)).toEqual(['http'])
  expect(functions[0]!.routes).toHaveLength(2)
  expect(functions[2]!.triggers.map((one) => 'name' in one && one.name)).toEqual(['timer-1', 'timer-2'])
})

test('invoke local without a stage has the environment of npm start', () => {
  const { DATABASE_URL, ...sandbox } = sandboxEnv('http://127.0.0.1:8701/cpay/', '', '127.0.0.1')
  expect(readLocalStage(undefined)).toEqual({ ...sandbox, DATABASE_URL: 'sqlite:.local/orders.db' })
  expect(DATABASE_URL).toBe('')
  // Where npm start was given another port.
  expect(readLocalStage('9000')['CLOUD_PAY_BASE_URL']).toBe('http://127.0.0.1:9001/cpay/')
})

test('a variable that is exported, known and not taken by the stage is named, with the line that takes it', () => {
  const service = wantedService((yml) => (yml.functions['timer']!.environment = { ORDER_MAX_FEN: '1' }))
  const env = {
    ORDER_MAX_FEN: '500000',
    LATE_PAYMENT: 'honour',
    RETENTION_DAYS: '',
    SOMEBODY_ELSE: 'x',
    CLOUD_PAY_PER_MINUTE: '30',
  }
  expect(untakenVariables(service, env)).toEqual(['CLOUD_PAY_PER_MINUTE', 'LATE_PAYMENT'])
  expect(tellUntaken(['LATE_PAYMENT'], 'prod')).toMatch(
    /deploy\/stages\/prod\.yml.*\n {2}LATE_PAYMENT: \$\{env:LATE_PAYMENT, null\}$/,
  )
})

test('every documented variable can be set in the one map of a stage file', () => {
  const names = Object.keys(VARIABLES).filter((name) => name !== 'GATEWAY_LISTEN_HOST')
  const service = wantedService(
    (yml) => (yml.provider.environment = Object.fromEntries(names.map((name) => [name, 'x']))),
  )
  for (const { configuration } of service.functions)
    expect(Object.keys(configuration.environment)).toEqual(names)
  const exported = Object.fromEntries(names.map((name) => [name, 'y']))
  expect(untakenVariables(service, exported)).toEqual([])
  expect(untakenVariables(wantedService(), exported)).toHaveLength(names.length - 1)
})

test('the stages set the same variables, and no secret of theirs stands in a file', () => {
  const read = (stage: string) =>
    (
      parse(readFileSync(join(ROOT, 'deploy', 'stages', `${stage}.yml`), 'utf8')) as {
        environment: Record<string, string>
      }
    ).environment
  expect(Object.keys(read('dev'))).toEqual(Object.keys(read('prod')))
  for (const value of [...Object.values(read('dev')), ...Object.values(read('prod'))])
    expect(value).toMatch(/^\$\{env:\w+, (null|'ssm:[\w-]+')\}$|^\$\{self:provider\.region\}$/)
})

describe('refused before any call', () => {
  const refused = (change: Parameters<typeof wantedService>[0]) => () => refuseService(wantedService(change))

  test('nothing of a service that is in order', () => expect(refused(() => undefined)).not.toThrow())

  test.each([null, 'open'])('doors whose callers are not configured (%s), but not notify', (callers) => {
    expect(refused((yml) => (yml.provider.environment!['CALLERS'] = callers))).toThrow(
      /^createOrder: doors whose callers are not configured/,
    )
  })

  test('secrets by reference that no role may read', () => {
    const refer = (role: string | undefined) =>
      refused((yml) => {
        yml.provider.environment!['DATABASE_URL'] = 'ssm:cloud-pay-dev-database-url'
        if (role) yml.provider.role = role
      })
    expect(refer(undefined)).toThrow(
      /^DATABASE_URL of functions.createOrder refer to secrets that no role may read/m,
    )
    expect(refer('cloud-pay-dev')).not.toThrow()
  })

  test('more timers than the platform takes for one function', () => {
    const timers = (count: number) =>
      refused((yml) => {
        const timer = { cron: '0 0 3 * * * *' }
        yml.functions['timer']!.events = Array.from({ length: count }, () => ({ timer }))
      })
    expect(timers(10)).not.toThrow()
    expect(timers(11)).toThrow('functions.timer has 11 timers: the platform takes 10 for one function.')
  })

  test('a CA in a file, which is in no zip', () => {
    const set = (name: string, value: string) => refused((yml) => (yml.provider.environment![name] = value))
    expect(set('CLOUD_PAY_CA_FILE', '/opt/ca.pem')).toThrow(/names a file, .* into CLOUD_PAY_CA\./)
    expect(set('DATABASE_URL', 'mysql://h/d?tls=verify&ca=/opt/ca.pem')).toThrow(
      /names a file, .* into DATABASE_CA\./,
    )
    expect(set('DATABASE_URL', 'mysql://h/d?tls=verify')).not.toThrow()
  })

  test('an environment over 4 KB, in bytes', () => {
    const set = (value: string) => refused((yml) => (yml.provider.environment!['LONG'] = value))
    // CALLERSown, LEVEL1 and LONG are 10 + 6 + 4.
    expect(set('钱'.repeat(1358) + 'xx')).not.toThrow()
    expect(set('钱'.repeat(1358) + 'xxx')).toThrow(/has 4097 bytes, the platform takes 4096/)
  })

  test.each(['SCF_X', 'QCLOUD_X', 'TENCENTCLOUD_X'])('the reserved prefix of %s', (name) => {
    expect(refused((yml) => (yml.provider.environment![name] = 'x'))).toThrow(
      /prefix that belongs to the platform/,
    )
  })

  test('a handler outside the root of the zip', () => {
    expect(refused((yml) => (yml.functions['timer']!.handler = 'dist/timer.main_handler'))).toThrow(
      /root of the zip/,
    )
  })

  test('a door that may take longer than 10 s; what has no address may', () => {
    expect(refused((yml) => (yml.functions['createOrder']!.timeout = 11))).toThrow(/a door may take 10 s/)
    expect(refused((yml) => (yml.functions['migrate']!.timeout = 900))).not.toThrow()
  })

  test('a notify URL that Cloud Pay could not call', () => {
    expect(refused((yml) => (yml.functions['notify']!.events![0]!.http!.authType = 'CAM'))).toThrow(
      /cannot sign/,
    )
  })

  test('another path of notify than the one its function answers at', () => {
    expect(refused((yml) => (yml.functions['notify']!.events![0]!.http!.path = '/callback'))).toThrow(
      /at \/notify/,
    )
  })

  test('a name the platform would not take', () => {
    expect(refused((yml) => (yml.service = 's'.repeat(60)))).toThrow(/is no function name/)
  })

  test('a domain with HTTPS and no certificate', () => {
    expect(refused((yml) => (yml.provider.customDomain = { domain: 'pay.example.com' }))).toThrow(
      /certificateId/,
    )
  })
})

test('a page of another origin may send what payers and operators send and read what helps it; without cors none may', () => {
  const corsOf = (cors?: { origins: string[] }) =>
    wantedService((yml) => {
      if (cors) yml.functions['createOrder']!.events![0]!.http!.cors = cors
    }).functions[0]!.triggers[0]
  expect(corsOf({ origins: ['https://shop.example.com'] })).toMatchObject({
    cors: {
      Enable: true,
      Origins: ['https://shop.example.com'],
      Methods: ['POST'],
      Headers: [
        ...['content-type', 'idempotency-key', 'authorization', 'x-session-secret'],
        ...Object.values(SIGNED_HEADERS),
      ],
      ExposeHeaders: ['retry-after', 'x-request-id'],
      Credentials: false,
    },
  })
  expect(corsOf()).toMatchObject({ cors: { Enable: false } })
})

test('a page may send what any path of the function takes', () => {
  const { functions } = wantedService((yml) => {
    yml.functions['board'] = {
      handler: 'board.main_handler',
      events: [
        { http: { method: 'GET', path: '/board/day', cors: true } },
        { http: { method: 'GET', path: '/board/orders' } },
        { http: { method: 'POST', path: '/board/resolve/{id}' } },
      ],
    }
  })
  expect(functions.at(-1)!.triggers[0]).toMatchObject({ cors: { Enable: true, Methods: ['GET', 'POST'] } })
})

test('every function a page of ours calls takes the cors of its stage, and no other does', () => {
  const { functions } = parse(readFileSync(join(ROOT, 'serverless.yml'), 'utf8')) as {
    functions: Record<string, { events?: { http?: { cors?: string } }[] }>
  }
  const open = Object.entries(functions).filter(([, { events = [] }]) => events[0]?.http?.cors !== undefined)
  expect(open.map(([name]) => name).sort()).toEqual(
    ['board', 'closeOrder', 'createOrder', 'refund', 'session', 'status'].sort(),
  )
})

test('sls print shows references, and of secrets only that they are set', () => {
  const yml = {
    provider: {
      environment: {
        CLOUD_PAY_AUTHEN_KEY: 'k',
        DATABASE_URL: 'ssm:x',
        CALLERS: 'own',
        MERCHANT_WEBHOOK_SECRET: null,
      },
    },
    custom: { stage: { environment: { DATABASE_URL: 'mysql://u:p@h/d' } } },
  }
  hideSecrets(yml)
  expect(yml.provider.environment).toEqual({
    CLOUD_PAY_AUTHEN_KEY: '***',
    DATABASE_URL: 'ssm:x',
    CALLERS: 'own',
    MERCHANT_WEBHOOK_SECRET: null,
  })
  expect(yml.custom.stage.environment.DATABASE_URL).toBe('***')
})

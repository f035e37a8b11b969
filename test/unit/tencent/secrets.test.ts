import { ConfigurationFault } from '../../../shared/base/config'
import { createPost } from '../../../shared/net/post'
import { referringNames } from '../../../shared/tencent/names'
import { withSecrets } from '../../../shared/tencent/references'
import { createSecrets, KEEP_MS, RETRY_AFTER_MS } from '../../../shared/tencent/secrets'
import { startSsm, type Ssm } from '../../support/ssm'
import { fakeTimeouts, until } from '../../support/waiting'

let ssm: Ssm
let nowMs: number
const clock = { nowMs: () => nowMs, sleep: async () => undefined }
beforeEach(async () => {
  nowMs = 1_900_000_000_000
  ssm = await startSsm(() => nowMs)
  ssm.secrets.set('pay-prod/SSM_Current', 'the-authen-key-1')
})
afterEach(() => ssm.close())

/** Of a function with a role. */
const envOf = (more: Record<string, string> = {}): Record<string, string | undefined> => ({
  TENCENTCLOUD_SECRETID: ssm.secretId,
  TENCENTCLOUD_SECRETKEY: ssm.secretKey,
  TENCENTCLOUD_SESSIONTOKEN: ssm.token,
  TENCENTCLOUD_REGION: 'ap-guangzhou',
  SSM_ENDPOINT: ssm.url,
  CLOUD_PAY_AUTHEN_KEY: 'ssm:pay-prod',
  ...more,
})
const lines: Record<string, unknown>[] = []
beforeEach(() => void lines.splice(0))
const secretsOf = (env: Record<string, string | undefined>) =>
  createSecrets(env, { clock, post: createPost(), log: (line) => void lines.push(line) })
const faultsOf = async (reading: Promise<unknown>) => {
  const error = await reading.catch((error: unknown) => error)
  expect(error).toBeInstanceOf(ConfigurationFault)
  return (error as ConfigurationFault).faults
}

describe('a reference', () => {
  test('is replaced by the text of the secret, in its current version or the one it names', async () => {
    ssm.secrets.set('shop_db/v2', 'mysql://pay:Pw9@10.0.0.5/orders')
    const env = envOf({ DATABASE_URL: 'ssm:shop_db/v2', ORDER_LIFE_SECONDS: '900' })
    const read = await secretsOf(env)()
    expect(read).toEqual({
      ...env,
      CLOUD_PAY_AUTHEN_KEY: 'the-authen-key-1',
      DATABASE_URL: 'mysql://pay:Pw9@10.0.0.5/orders',
    })
    // The environment itself stays as it was: whoever prints it prints no secret.
    expect(env['CLOUD_PAY_AUTHEN_KEY']).toBe('ssm:pay-prod')
  })

  test('is looked for in the variables that are secrets, and in no other', async () => {
    const env = envOf({ CALLER_NOTIFY_URL: 'ssm:pay-prod', CLOUD_PAY_OUT_MCH_ID: 'ssm:pay-prod' })
    expect(referringNames(env)).toEqual(['CLOUD_PAY_AUTHEN_KEY'])
    expect(await secretsOf(env)()).toMatchObject({ CALLER_NOTIFY_URL: 'ssm:pay-prod' })
    expect(ssm.asked).toEqual(['pay-prod/SSM_Current'])
  })

  test('that two variables share is asked about once', async () => {
    const shared = { DATABASE_URL: 'ssm:pay-prod', MERCHANT_WEBHOOK_SECRET: 'ssm:pay-prod/SSM_Current' }
    await secretsOf(envOf(shared))()
    expect(ssm.asked).toEqual(['pay-prod/SSM_Current'])
  })

  test.each(['ssm:', 'ssm:/v1', 'ssm:a b', 'ssm:a/', 'ssm:a/b/c', 'ssm:-a', 'ssm:a\n'])(
    '%j is a fault, and nobody is asked',
    async (CLOUD_PAY_AUTHEN_KEY) => {
      expect(await faultsOf(secretsOf(envOf({ CLOUD_PAY_AUTHEN_KEY }))())).toEqual([
        'CLOUD_PAY_AUTHEN_KEY must be ssm:NAME or ssm:NAME/VERSION when it refers to a secret',
      ])
      expect(ssm.asked).toEqual([])
    },
  )

  test('is nothing to an environment without any: the same object, and no client', async () => {
    const env = { CLOUD_PAY_AUTHEN_KEY: 'plain-text' }
    expect(await withSecrets(env)).toBe(env)
    // Only what was asked for is looked up: a tool that needs the database needs no other secret.
    expect(await withSecrets(envOf(), ['DATABASE_URL'])).toMatchObject({
      CLOUD_PAY_AUTHEN_KEY: 'ssm:pay-prod',
    })
    expect(ssm.asked).toEqual([])
  })
})

describe('where secrets are asked for', () => {
  test.each([
    [{ TENCENTCLOUD_REGION: '' }, 'SSM_REGION must name the region'],
    [{ SSM_ENDPOINT: 'http://ssm.example.com/' }, 'SSM_ENDPOINT must be https:// and a host'],
    [{ SSM_ENDPOINT: 'https://user:pw@ssm.example.com/' }, 'SSM_ENDPOINT must be https:// and a host'],
    [{ SSM_ENDPOINT: 'ssm' }, 'SSM_ENDPOINT must be https:// and a host'],
  ])('%j is a fault', async (more, fault) => {
    expect(await faultsOf(secretsOf(envOf(more))())).toEqual([expect.stringContaining(fault)])
  })

  test('may be another region than the function is in', async () => {
    await secretsOf(envOf({ TENCENTCLOUD_REGION: 'ap-beijing', SSM_REGION: 'ap-guangzhou' }))()
    expect(ssm.asked).toHaveLength(1)
  })
})

describe('what goes wrong at the first reading', () => {
  const first = (more?: Record<string, string>) => faultsOf(secretsOf(envOf(more))())

  test('is told by the variable, the code and the request, never by a value', async () => {
    expect(await first({ DATABASE_URL: 'ssm:gone', MERCHANT_WEBHOOK_SECRET: 'ssm:gone/v9' })).toEqual([
      expect.stringMatching(
        /^DATABASE_URL cannot be read from Secrets Manager: ResourceNotFound \(request r-\d\)$/,
      ),
      expect.stringMatching(/^MERCHANT_WEBHOOK_SECRET cannot be read .* ResourceNotFound/),
    ])
  })

  test.each([
    [{ TENCENTCLOUD_SECRETKEY: 'another' }, 'AuthFailure.SignatureFailure'],
    [{ TENCENTCLOUD_SECRETID: 'another' }, 'AuthFailure.SecretIdNotFound'],
    [{ TENCENTCLOUD_SESSIONTOKEN: '' }, 'AuthFailure.TokenFailure'],
    [{ TENCENTCLOUD_SECRETID: '' }, 'the function has no role'],
  ])('with %j it is %s', async (more, code) => {
    expect((await first(more)).join()).toContain(code)
  })

  test('with a clock that is ten minutes off it is the signature that has expired', async () => {
    const secrets = createSecrets(envOf(), {
      post: createPost(),
      clock: { ...clock, nowMs: () => nowMs - 600_000 },
    })
    expect((await faultsOf(secrets())).join()).toContain('AuthFailure.SignatureExpire')
  })

  test.each([
    ['hangs_up', 'connection', 2],
    ['no_json', 'answer_malformed', 1],
    [{ status: 502 }, 'http_502', 2],
    [{ code: 'InternalError' }, 'InternalError', 2],
    [{ code: 'RequestLimitExceeded' }, 'RequestLimitExceeded', 2],
    [{ code: 'UnauthorizedOperation' }, 'UnauthorizedOperation', 1],
  ] as const)('%j is %s, after %d attempts', async (behaviour, code, attempts) => {
    ssm.behaviour = behaviour
    expect((await first()).join()).toContain(code)
    expect(ssm.asked).toHaveLength(attempts)
  })

  test('silence is waited for less than three seconds in all', async () => {
    ssm.behaviour = 'silent'
    fakeTimeouts()
    try {
      const faults = first()
      for (const attempt of [1, 2]) {
        await until(() => ssm.asked.length === attempt)
        jest.advanceTimersByTime(1400)
      }
      expect((await faults).join()).toContain('timeout')
      expect(ssm.asked).toHaveLength(2)
    } finally {
      jest.useRealTimers()
    }
  })

  test('a secret of bytes, or of nothing, is no value of ours', async () => {
    for (const secret of [{ SecretBinary: 'AAAA' }, '']) {
      ssm.secrets.set('pay-prod/SSM_Current', secret)
      expect((await first()).join()).toContain('secret_is_no_text')
    }
  })

  test('is not remembered: the next event asks again', async () => {
    ssm.behaviour = { code: 'InternalError' }
    const secrets = secretsOf(envOf())
    await faultsOf(secrets())
    ssm.behaviour = 'right'
    expect(await secrets()).toMatchObject({ CLOUD_PAY_AUTHEN_KEY: 'the-authen-key-1' })
  })
})

describe('what is known', () => {
  test('is kept for a while, and then asked for again', async () => {
    const secrets = secretsOf(envOf())
    const before = await secrets()
    ssm.secrets.set('pay-prod/SSM_Current', 'the-authen-key-2')
    nowMs += KEEP_MS - 1
    expect(await secrets()).toBe(before)
    expect(ssm.asked).toHaveLength(1)
    nowMs += 1
    expect(await secrets()).toMatchObject({ CLOUD_PAY_AUTHEN_KEY: 'the-authen-key-2' })
    expect(ssm.asked).toHaveLength(2)
  })

  test('is the same object while no secret has changed', async () => {
    const secrets = secretsOf(envOf())
    const before = await secrets()
    nowMs += KEEP_MS
    expect(await secrets()).toBe(before)
    expect(ssm.asked).toHaveLength(2)
  })

  test('is asked for once by ten at the same moment', async () => {
    const secrets = secretsOf(envOf())
    const read = await Promise.all(Array.from({ length: 10 }, () => secrets()))
    expect(ssm.asked).toHaveLength(1)
    expect(new Set(read).size).toBe(1)
  })

  test('goes on being used when nobody answers, and is not asked for at every event', async () => {
    const secrets = secretsOf(envOf())
    const before = await secrets()
    for (const behaviour of ['hangs_up', { code: 'UnauthorizedOperation' }] as const) {
      ssm.behaviour = behaviour
      nowMs += KEEP_MS
      const asked = ssm.asked.length
      expect(await secrets()).toBe(before)
      expect(ssm.asked.length).toBeGreaterThan(asked)
      const again = ssm.asked.length
      expect(await secrets()).toBe(before)
      expect(ssm.asked).toHaveLength(again)
    }
    expect(lines.map(({ event }) => event)).toEqual(['secrets.stale', 'secrets.stale'])
    expect(JSON.stringify(lines)).not.toContain('the-authen-key-1')
    ssm.behaviour = 'right'
    ssm.secrets.set('pay-prod/SSM_Current', 'the-authen-key-2')
    nowMs += RETRY_AFTER_MS
    expect(await secrets()).toMatchObject({ CLOUD_PAY_AUTHEN_KEY: 'the-authen-key-2' })
  })

  test("is asked for with the role's key of that moment", async () => {
    const env = envOf()
    const secrets = secretsOf(env)
    await secrets()
    Object.assign(ssm, { secretId: 'AKIDrole0002', secretKey: 'role-secret-key-0002', token: 'token-2' })
    env['TENCENTCLOUD_SECRETID'] = 'AKIDrole0002'
    env['TENCENTCLOUD_SECRETKEY'] = 'role-secret-key-0002'
    env['TENCENTCLOUD_SESSIONTOKEN'] = 'token-2'
    nowMs += KEEP_MS
    await secrets()
    expect(ssm.asked).toHaveLength(2)
    expect(lines).toEqual([])
  })
})

import { randomBytes } from 'node:crypto'
import type { LookupOptions } from 'node:dns'
import { Agent } from 'node:http'
import type { LookupFunction } from 'node:net'
import { scf } from 'tencentcloud-sdk-nodejs-scf'
import { ZipFile } from 'yazl'
import { tc3Authorization } from '../../../shared/tencent/tc3'
import { startControlPlane, type ControlPlane } from '../../support/controlPlane'
import { verifyTc3 } from '../../support/controlPlane/tc3'
import { fakeTimeouts } from '../../support/waiting'

const keys = { secretId: 'AKIDexample', secretKey: 'a secret key of tests' }

let plane: ControlPlane
let client: InstanceType<typeof scf.v20180416.Client>
beforeAll(async () => {
  plane = await startControlPlane({ ...keys, requestsPerSecond: 1000 })
  client = clientOf(plane)
})
afterEach(() => plane.reset())
afterAll(() => plane.close())

/** The SDK itself. It takes the service from the first label of the endpoint, and signs for that. */
function clientOf({ url }: ControlPlane, credential = keys, host = 'scf.localhost') {
  const agent = new Agent({
    lookup: ((_host: string, { all }: LookupOptions, done: (...answer: unknown[]) => void) =>
      all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)) as LookupFunction,
  })
  const endpoint = `${host}:${new URL(url).port}`
  const httpProfile = { endpoint, protocol: 'http://' as const, agent }
  return new scf.v20180416.Client({
    credential,
    region: 'ap-guangzhou',
    profile: { httpProfile },
  })
}

const makeZip = (files: Record<string, string | Buffer>) =>
  new Promise<string>((resolve, reject) => {
    const zip = new ZipFile()
    for (const [name, bytes] of Object.entries(files)) zip.addBuffer(Buffer.from(bytes), name)
    zip.end()
    const chunks: Buffer[] = []
    zip.outputStream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
    zip.outputStream.on('end', () => resolve(Buffer.concat(chunks).toString('base64')))
  })

const FunctionName = 'shop-dev-pay'
async function create(more: object = {}) {
  const Code = { ZipFile: await makeZip({ 'pay.js': 'exports.main_handler = async () => 1' }) }
  await client.CreateFunction({
    FunctionName,
    Handler: 'pay.main_handler',
    Runtime: 'Nodejs18.15',
    Code,
    ...more,
  })
}

async function settled(Qualifier = '$LATEST') {
  for (;;) {
    const it = await client.GetFunction({ FunctionName, Qualifier })
    if (it.Status === 'Active') return it
  }
}

const code = (run: Promise<unknown>) =>
  run.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  )

describe('who is let in', () => {
  test("Tencent's published example is right, and with one byte changed it is not", () => {
    const body = Buffer.from(
      String.raw`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`,
    )
    const example = (signature: string, bytes = body) => ({
      method: 'POST',
      target: '/',
      body: bytes,
      headers: {
        host: 'cvm.tencentcloudapi.com',
        'content-type': 'application/json; charset=utf-8',
        'x-tc-timestamp': '1551113065',
        authorization:
          'TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, ' +
          `SignedHeaders=content-type;host, Signature=${signature}`,
      },
    })
    const owner = {
      secretId: 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE',
      secretKey: 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE',
    }
    const signature = '72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168'
    const verify = (request: ReturnType<typeof example>) => verifyTc3(request, owner, 'cvm', 1551113065_000)
    verify(example(signature))
    expect(() => verify(example(signature.replace('7', '8')))).toThrow('does not fit')
    expect(() => verify(example(signature, Buffer.from(`${body.toString()} `)))).toThrow('does not fit')
  })

  test("the SDK's signature and ours are accepted", async () => {
    expect((await client.ListFunctions({})).TotalCount).toBe(0)
    expect(await post({})).toMatchObject({ TotalCount: 0 })
  })

  test.each([
    ['a wrong key', { secretKey: 'another' }, 'AuthFailure.SignatureFailure'],
    ['an unknown id', { secretId: 'AKIDnobody' }, 'AuthFailure.SecretIdNotFound'],
    ['a clock six minutes behind', { nowS: Date.now() / 1000 - 360 }, 'AuthFailure.SignatureExpire'],
    ['another service', { service: 'cvm' }, 'AuthFailure.SignatureFailure', 'the service cvm'],
    ['no content type signed', { names: 'host' }, 'AuthFailure.SignatureFailure', 'content-type must be'],
    ['a token nobody asked for', { token: 'token' }, 'AuthFailure.TokenFailure'],
    ['another version of the API', { version: '2017-03-12' }, 'NoSuchVersion'],
    ['an action that is not there', { action: 'toString' }, 'InvalidAction'],
    ['an oversized request', { body: Buffer.alloc(10 * 1024 * 1024 + 1, 32) }, 'RequestSizeLimitExceeded'],
  ])('%s is refused', async (_what, flaw, Code, why = '') => {
    expect(await post(flaw)).toEqual({
      Error: { Code, Message: expect.stringContaining(why) },
      RequestId: expect.any(String),
    })
    expect(plane.journal).toMatchObject([{ error: Code }])
  })

  test('an endpoint of another first label is signed for another service by the SDK, and refused', async () => {
    const lost = clientOf(plane, keys, '127.0.0.1')
    expect(await code(lost.ListFunctions({}))).toBe('AuthFailure.SignatureFailure')
  })

  type Flaw = {
    secretId?: string
    secretKey?: string
    nowS?: number
    service?: string
    names?: string
    token?: string
    version?: string
    action?: string
    body?: Buffer
  }
  async function post(flaw: Flaw): Promise<object> {
    const nowS = Math.floor(flaw.nowS ?? Date.now() / 1000)
    const body = flaw.body ?? Buffer.from('{}')
    const { host } = new URL(plane.url)
    const contentType = 'application/json'
    const credential = { ...keys, ...flaw }
    const authorization = tc3Authorization(credential, {
      ...{ host, body, contentType, nowS },
      service: flaw.service ?? 'scf',
    })
    const answer = await fetch(plane.url, {
      method: 'POST',
      body: new Uint8Array(body),
      headers: {
        authorization: flaw.names
          ? authorization.replace(/SignedHeaders=[^,]*/, `SignedHeaders=${flaw.names}`)
          : authorization,
        'content-type': contentType,
        'x-tc-action': flaw.action ?? 'ListFunctions',
        'x-tc-version': flaw.version ?? '2018-04-16',
        'x-tc-region': 'ap-guangzhou',
        'x-tc-timestamp': String(nowS),
        ...(flaw.token ? { 'x-tc-token': flaw.token } : {}),
      },
    })
    return ((await answer.json()) as { Response: object }).Response
  }
})

test('a function is busy after each change, refuses the next, and is done after so many looks', async () => {
  await create()
  const status = async () => (await client.GetFunction({ FunctionName })).Status
  expect([await status(), await status(), await status()]).toEqual(['Creating', 'Creating', 'Active'])
  await client.UpdateFunctionConfiguration({ FunctionName, Timeout: 9 })
  expect(await code(client.UpdateFunctionConfiguration({ FunctionName, Timeout: 8 }))).toBe(
    'FailedOperation.UpdateFunctionConfiguration',
  )
  expect(await code(client.PublishVersion({ FunctionName }))).toBe('FailedOperation.PublishVersion')
  expect(await settled()).toMatchObject({ Timeout: 9, Runtime: 'Nodejs18.15' })
  await client.DeleteFunction({ FunctionName })
  expect([await status(), await status()]).toEqual(['Deleting', 'Deleting'])
  expect(await code(client.GetFunction({ FunctionName }))).toBe('ResourceNotFound.FunctionName')
})

test('the runtime stays, and the environment is replaced as a whole', async () => {
  const Variables = [
    { Key: 'A', Value: '1' },
    { Key: 'B', Value: '2' },
  ]
  await create({ Environment: { Variables } })
  const update = async (change: object) => {
    await settled()
    return code(client.UpdateFunctionConfiguration({ FunctionName, ...change }))
  }
  const variables = async () => (await settled()).Environment?.Variables
  expect(await update({ Runtime: 'Nodejs16.13' })).toBe('InvalidParameterValue.Runtime')
  await update({ Environment: { Variables: [] } })
  expect(await variables()).toEqual(Variables)
  await update({ Environment: { Variables: [{ Key: 'B', Value: '3' }] } })
  expect(await variables()).toEqual([{ Key: 'B', Value: '3' }])
  await update({ Environment: { Variables: [{ Key: '', Value: '' }] } })
  expect(await variables()).toEqual([])
  expect(await update({ Environment: { Variables: [{ Key: 'SCF_A', Value: '1' }] } })).toBe(
    'InvalidParameterValue.EnvironmentSystemProtect',
  )
  expect(await update({ Environment: { Variables: [{ Key: 'A', Value: 'x'.repeat(4096) }] } })).toBe(
    'InvalidParameterValue.EnvironmentExceededLimit',
  )
})

test('versions keep what was published, and $DEFAULT moves between them', async () => {
  await create()
  await settled()
  const alias = async () => client.GetAlias({ FunctionName, Name: '$DEFAULT' })
  expect(await alias()).toMatchObject({ FunctionVersion: '$LATEST' })
  const make = client.CreateAlias({ FunctionName, Name: '$DEFAULT', FunctionVersion: '$LATEST' })
  expect(await code(make)).toBe('InvalidParameterValue.Name')

  const publish = async () => {
    const { FunctionVersion } = await client.PublishVersion({ FunctionName })
    const point = () =>
      client.UpdateAlias({ FunctionName, Name: '$DEFAULT', FunctionVersion: FunctionVersion! })
    expect(await code(point())).toBe('FailedOperation.FunctionVersionStatusNotActive')
    await settled(FunctionVersion)
    await point()
    return FunctionVersion!
  }
  expect(await publish()).toBe('1')
  const ZipFile = await makeZip({ 'pay.js': 'exports.main_handler = async () => 2' })
  await client.UpdateFunctionCode({ FunctionName, Code: { ZipFile } })
  await settled()
  expect(await publish()).toBe('2')
  const addresses = await Promise.all(
    ['1', '2', '$LATEST'].map((Qualifier) => client.GetFunctionAddress({ FunctionName, Qualifier })),
  )
  expect(addresses[1]!.CodeSha256).toBe(addresses[2]!.CodeSha256)
  expect(addresses[0]!.CodeSha256).not.toBe(addresses[2]!.CodeSha256)

  const canary = (Version: string, Weight: number) =>
    client.UpdateAlias({
      FunctionName,
      Name: '$DEFAULT',
      FunctionVersion: '1',
      RoutingConfig: { AdditionalVersionWeights: [{ Version, Weight }] },
    })
  expect(await code(canary('1', 0.1))).toBe('InvalidParameterValue.AdditionalVersionWeights')
  expect(await code(canary('2', 10))).toBe('InvalidParameterValue.AdditionalVersionWeights')
  expect(await code(canary('9', 0.1))).toBe('ResourceNotFound.FunctionVersion')
  await canary('2', 0.1)
  expect(await code(client.DeleteFunction({ FunctionName, Qualifier: '2' }))).toBe(
    'UnsupportedOperation.AliasBind',
  )
  const versions = await client.ListVersionByFunction({ FunctionName, Limit: 2 })
  expect(versions).toMatchObject({ TotalCount: 3, FunctionVersion: ['$LATEST', '2'] })
})

test('a URL gets a name of the platform, a timer keeps its own, and both are found by listing', async () => {
  await create()
  await settled()
  const url = { AuthType: 'NONE', NetConfig: { EnableIntranet: false, EnableExtranet: true } }
  const http = { FunctionName, Type: 'http', Qualifier: '$DEFAULT' }
  const open = client.CreateTrigger({ ...http, TriggerName: 'url', TriggerDesc: JSON.stringify(url) })
  const name = (await open).TriggerInfo!.TriggerName!
  expect(name).toMatch(/^[0-9a-z]{10}$/)
  const second = { ...http, TriggerName: 'url', TriggerDesc: JSON.stringify(url) }
  expect(await code(client.CreateTrigger(second))).toBe('ResourceInUse.Trigger')

  const timer = { FunctionName, Type: 'timer', TriggerName: 'sweep', Qualifier: '$DEFAULT' }
  expect(await code(client.CreateTrigger({ ...timer, TriggerDesc: '* * *' }))).toBe(
    'InvalidParameterValue.TriggerDesc',
  )
  await client.CreateTrigger({ ...timer, TriggerDesc: '*/20 * * * * * *' })
  const { Triggers = [] } = await client.ListTriggers({ FunctionName })
  expect(Triggers.map((each) => [each.Type, each.TriggerName, each.Enable])).toEqual([
    ['timer', 'sweep', 1],
    ['http', name, 1],
  ])
  expect(JSON.parse(Triggers[0]!.TriggerDesc!)).toEqual({ cron: '*/20 * * * * * *' })
  expect(JSON.parse(Triggers[1]!.TriggerDesc!)).toMatchObject({
    NetConfig: { ExtranetUrl: `https://1250000000-${name}.ap-guangzhou.tencentscf.com` },
  })

  const atLatest = { FunctionName, Type: 'timer', TriggerName: 'sweep' }
  expect(await code(client.DeleteTrigger(atLatest))).toBe('ResourceNotFound.Trigger')
  await client.UpdateTrigger({ ...timer, Enable: 'CLOSE' })
  expect((await client.ListTriggers({ FunctionName, Limit: 1 })).Triggers).toMatchObject([{ Enable: 0 }])
  await client.DeleteTrigger(timer)
  expect((await client.ListTriggers({ FunctionName })).TotalCount).toBe(1)
})

test('lists come in pages of 20', async () => {
  for (let n = 0; n < 25; n++) await create({ FunctionName: `shop-dev-f${n}x` })
  const pages = await Promise.all([0, 20, 40].map((Offset) => client.ListFunctions({ Offset })))
  expect(pages.map(({ Functions, TotalCount }) => [Functions!.length, TotalCount])).toEqual([
    [20, 25],
    [5, 25],
    [0, 25],
  ])
})

test('a custom domain maps paths to functions that are there', async () => {
  await create()
  const endpoint = { Namespace: 'default', FunctionName, Qualifier: '$DEFAULT', PathMatch: '/orders/*' }
  const domain = { Domain: 'pay.example.com', Protocol: 'HTTPS', CertConfig: { CertificateId: 'cert' } }
  const make = (change: object) =>
    code(client.CreateCustomDomain({ ...domain, EndpointsConfig: [{ ...endpoint, ...change }] }))
  expect(await make({ FunctionName: 'gone' })).toBe('ResourceNotFound.FunctionName')
  expect(await make({ PathMatch: '/orders/{id}' })).toBe('InvalidParameterValue')
  expect(await make({})).toBe('accepted')
  const replaced = { Domain: 'pay.example.com', EndpointsConfig: [{ ...endpoint, PathMatch: '/notify' }] }
  await client.UpdateCustomDomain(replaced)
  expect(await client.GetCustomDomain({ Domain: 'pay.example.com' })).toMatchObject({
    ...domain,
    ...replaced,
  })
})

test('an invocation is answered by the test, and what it throws is an error of the function', async () => {
  await create()
  plane.onInvoke(FunctionName, (event, qualifier) => ({ event, qualifier }))
  await settled()
  const invoke = () => client.Invoke({ FunctionName, ClientContext: '{"do":"count"}', Qualifier: '$DEFAULT' })
  const { Result } = await invoke()
  expect(JSON.parse(Result!.RetMsg!)).toEqual({ event: { do: 'count' }, qualifier: '$DEFAULT' })
  plane.onInvoke(FunctionName, () => Promise.reject(new Error('no database')))
  expect((await invoke()).Result).toMatchObject({
    InvokeResult: 1,
    ErrMsg: expect.stringContaining('no database'),
  })
  expect(await code(client.Invoke({ FunctionName, Qualifier: '7' }))).toBe('ResourceNotFound.FunctionVersion')
})

test('faults come as told, as often as told, and too many calls are throttled', async () => {
  plane.failNext('ListFunctions', { code: 'InternalError' }, 2)
  const list = () => code(client.ListFunctions({}))
  expect([await list(), await list(), await list()]).toEqual(['InternalError', 'InternalError', 'accepted'])
  fakeTimeouts()
  const slow = await startControlPlane({ ...keys, requestsPerSecond: 2 })
  try {
    const three = async () =>
      (await Promise.all([1, 2, 3].map(() => code(clientOf(slow).ListFunctions({}))))).sort()
    expect(await three()).toEqual(['RequestLimitExceeded', 'accepted', 'accepted'])
    jest.advanceTimersByTime(1000)
    expect(await three()).toEqual(['RequestLimitExceeded', 'accepted', 'accepted'])
  } finally {
    jest.useRealTimers()
    await slow.close()
  }
})

test('a call whose answer is lost has had its effect', async () => {
  plane.onCall = ({ action }) => (action === 'CreateFunction' ? 'drop' : undefined)
  await expect(create()).rejects.toThrow(/socket hang up|ECONNRESET/)
  expect(plane.find(FunctionName)).toBeDefined()
  expect(plane.writes().map(({ action }) => action)).toEqual(['CreateFunction'])
})

test('code that is no zip, or reaches out of it, is refused, and the journal keeps no code', async () => {
  const attempt = (bytes: Buffer) => code(create({ Code: { ZipFile: bytes.toString('base64') } }))
  expect(await attempt(randomBytes(100))).toBe('InvalidParameterValue.ZipFile')
  const zip = Buffer.from(await makeZip({ 'inner.js': '' }), 'base64')
  expect(
    await attempt(Buffer.from(zip.toString('latin1').replaceAll('inner.js', '../er.js'), 'latin1')),
  ).toBe('InvalidParameterValue.ZipFile')
  expect(await attempt(zip)).toBe('accepted')
  expect(JSON.stringify(plane.journal)).not.toContain(zip.toString('base64'))
})

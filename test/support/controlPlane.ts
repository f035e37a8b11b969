import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { makeActions } from './controlPlane/actions'
import { ApiFault, refuse } from './controlPlane/fault'
import { hexOf, keyOf, type Account, type FunctionState } from './controlPlane/state'
import { verifyTc3 } from './controlPlane/tc3'

/**
 * The SCF control plane, API 2018-04-16, on loopback: enough of it to deploy to, and as strict as its documentation.
 * Signatures are verified; functions are busy for a while after each change, counted in looks instead of seconds so
 * that every run is the same; everything asked is kept in a journal.
 *
 * Where it knowingly differs: one region and one namespace; code comes inside the request only; the code of a function
 * never runs, invocations are answered by the test. What no documentation says and is assumed here: that UpdateAlias
 * without routes keeps them, what errors about custom domains are called, that the limit of 20 calls a second counts
 * per action, and that a description may hold no more kinds of characters than its documentation names.
 */
export type ControlPlane = {
  /** For SCF_ENDPOINT. */
  url: string
  /** Every call in order. The code of a function is replaced by its size and hash. */
  journal: JournalEntry[]
  functions: Account['functions']
  domains: Account['domains']
  find(name: string): FunctionState | undefined
  /** Calls that change something, from this place of the journal on. */
  writes(since?: number): JournalEntry[]
  failNext(action: string, error: { code: string; message?: string }, times?: number): void
  /** Answers Invoke for this function; what it throws is an error of the function. */
  onInvoke(name: string, answer: (event: unknown, qualifier: string) => unknown): void
  /**
   * Called for each call after its effect and before its answer. 'drop' breaks the connection instead of answering:
   * the caller cannot know what happened.
   */
  onCall: ((entry: JournalEntry) => Promise<'drop' | void> | 'drop' | void) | undefined
  /** Forgets functions, domains, the journal and everything set up. */
  /** From now on an answer to CreateTrigger does not tell the address. */
  tellUrlsLate(): void
  reset(): void
  close(): Promise<void>
}

export type JournalEntry = {
  action: string
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into it freely
  request: any
  region?: string
  requestId: string
  error?: string
}

export type ControlPlaneOptions = {
  secretId: string
  secretKey: string
  /** Required with the keys when given: what temporary keys come with. */
  token?: string
  appId?: string
  region?: string
  now?: () => number
  /** How many looks a function stays busy after a change. */
  busyPolls?: number
  requestsPerSecond?: number
}

const SERVICE = 'scf'
const VERSION = '2018-04-16'
const REQUEST_BYTES = 10 * 1024 * 1024

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const nowMs = options.now ?? Date.now
  let ids = 0
  const account: Account = {
    appId: options.appId ?? '1250000000',
    region: options.region ?? 'ap-guangzhou',
    url: '',
    nowMs,
    busyPolls: options.busyPolls ?? 2,
    tellsUrlLate: false,
    functions: new Map(),
    domains: new Map(),
    invocations: [],
    answers: new Map(),
    newId: (kind) =>
      kind +
      BigInt(`0x${hexOf(`${kind}${++ids}`).slice(0, 16)}`)
        .toString(36)
        .slice(0, 10)
        .padEnd(10, '0'),
  }
  const actions = makeActions(account)
  const journal: JournalEntry[] = []
  const failures: { action: string; fault: ApiFault; times: number }[] = []
  const allowed = perSecond(options.requestsPerSecond ?? 20)

  async function answer(
    request: IncomingMessage,
    body: Buffer | 'too large',
    entry: JournalEntry,
  ): Promise<object> {
    refuse(
      body === 'too large',
      'RequestSizeLimitExceeded',
      `The request is larger than ${REQUEST_BYTES} bytes.`,
    )
    const bytes = body as Buffer
    refuse(request.method !== 'POST', 'UnsupportedProtocol', 'The fake speaks POST only.')
    const { headers, method = '', url: target = '' } = request
    verifyTc3({ method, target, headers, body: bytes }, options, SERVICE, nowMs())
    refuse(
      headers['x-tc-token'] !== options.token,
      'AuthFailure.TokenFailure',
      'The token does not fit the key.',
    )
    refuse(headers['x-tc-version'] !== VERSION, 'NoSuchVersion', `The version of the API is ${VERSION}.`)
    refuse(
      !/^application\/json\b/.test(headers['content-type'] ?? ''),
      'InvalidParameter',
      'Only JSON is taken.',
    )
    const { action } = entry
    refuse(action === '', 'MissingParameter', 'X-TC-Action is missing.')
    refuse(!Object.hasOwn(actions, action), 'InvalidAction', `The fake does not know ${action}.`)
    refuse(entry.region === undefined, 'MissingParameter', 'X-TC-Region is missing.')
    refuse(entry.region !== account.region, 'UnsupportedRegion', `The fake is in ${account.region}.`)
    let parameters: unknown
    try {
      parameters = JSON.parse(bytes.toString('utf8'))
    } catch {
      throw new ApiFault('InvalidParameter', 'The request is not JSON.')
    }
    entry.request = withoutCode(parameters)
    refuse(!allowed(action), 'RequestLimitExceeded', `${action} is called too often.`)
    const failure = failures.find((one) => one.action === action && one.times > 0)
    if (failure) {
      failure.times--
      throw failure.fault
    }
    return (actions[action as keyof typeof actions] as (request: unknown) => object)(parameters)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const entry: JournalEntry = {
      action: String(request.headers['x-tc-action'] ?? ''),
      request: undefined,
      requestId: account.newId('rid-'),
    }
    const region = request.headers['x-tc-region']
    if (typeof region === 'string') entry.region = region
    journal.push(entry)
    let result: object
    try {
      result = await answer(request, body, entry)
    } catch (error) {
      if (!(error instanceof ApiFault)) throw error
      entry.error = error.code
      result = { Error: { Code: error.code, Message: error.message } }
    }
    if ((await plane.onCall?.(entry)) === 'drop') return void request.socket.destroy()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ Response: { ...result, RequestId: entry.requestId } }))
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // A mistake of the fake's own: loud here, and no answer that could pass for one of the API's.
      console.error(error)
      response.writeHead(500).end()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  account.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const plane: ControlPlane = {
    url: account.url,
    journal,
    functions: account.functions,
    domains: account.domains,
    find: (name) => account.functions.get(keyOf(name)),
    writes: (since = 0) => journal.slice(since).filter(({ action }) => !/^(Get|List|Invoke)/.test(action)),
    failNext(action, { code, message }, times = 1) {
      failures.push({ action, fault: new ApiFault(code, message), times })
    },
    onInvoke: (name, respond) => void account.answers.set(name, respond),
    onCall: undefined,
    tellUrlsLate: () => void (account.tellsUrlLate = true),
    reset() {
      account.tellsUrlLate = false
      for (const each of [account.functions, account.domains, account.answers]) each.clear()
      for (const each of [journal, failures, account.invocations]) each.length = 0
      plane.onCall = undefined
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return plane
}

/** The rest of a request that is too large is read and thrown away: an answer would not arrive while the client sends. */
async function readBody(request: IncomingMessage): Promise<Buffer | 'too large'> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= REQUEST_BYTES) chunks.push(chunk)
  }
  return size > REQUEST_BYTES ? 'too large' : Buffer.concat(chunks)
}

/** Whether one more call is allowed within this second; real seconds, as a client's waits are real. */
function perSecond(limit: number): (action: string) => boolean {
  const calls = new Map<string, number[]>()
  return (action) => {
    const now = performance.now()
    const recent = (calls.get(action) ?? []).filter((at) => now - at < 1000)
    calls.set(action, recent)
    return recent.length < limit && recent.push(now) > 0
  }
}

function withoutCode(request: unknown): unknown {
  return JSON.parse(
    JSON.stringify(request, (key, value: unknown) =>
      key === 'ZipFile' && typeof value === 'string' ? `${value.length} characters ${hexOf(value)}` : value,
    ),
  )
}

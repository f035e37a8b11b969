import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { makeContext } from '../deploy/context'
import { readersPageAt } from './docs/site'
import { describedPages } from './openapi/pages'
import { isMeantForUs, NOT_MEANT_FOR_US } from './ownPages'
import type { Pages } from './pages'
import { readRoutes, readTimers, type ServedRoute } from './routes'

/**
 * HTTP → SCF event → the built function → HTTP. What a Function URL does, as far as it is documented: the event has
 * body, headers, httpMethod, path and queryString and nothing else; the answer is {statusCode, headers, body}.
 */
export type Gateway = {
  origin: string
  /** A timer event for this function, as the platform sends it. Fails as the platform does: a line, no more. */
  fire(functionName: string): Promise<void>
  /** Pages beside the functions, as a static hosting would have them. */
  serve(pages: Pages): void
  close(): Promise<void>
}

/** A call a function answered. No headers: there is no secret in it. */
export type Served = {
  at: number
  method: string
  path: string
  body: string
  status: number
  answer: string
}

export type EventShape = 'function-url' | 'api-gateway' | 'superset'

type Handler = (
  event: unknown,
  context: unknown,
) => Promise<{
  statusCode: number
  headers: Record<string, string>
  body: string
}>

export type GatewayOptions = {
  root: string
  /** Where the bundles are. */
  bundles: string
  host: string
  port: number
  timeLimitMs: number
  eventShape?: EventShape
  /** Told of what was asked of /orders, for who wants to show it. */
  onServed?: (served: Served) => void
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const routes = readRoutes(options.root)
  const load = createRequire(join(options.bundles, 'x.js'))
  // One instance of each function, kept, as the platform keeps a warm one.
  const handlers = new Map(
    [...routes, ...readTimers(options.root)].map(({ functionName }) => [
      functionName,
      (load(`./${functionName}.js`) as { main_handler: Handler }).main_handler,
    ]),
  )

  let pages: Pages = new Map()
  const described = describedPages(options.root, () => origin)

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!isMeantForUs(request.headers))
        return response.writeHead(403, { 'content-type': 'application/json' }).end(NOT_MEANT_FOR_US)
      const url = new URL(`http://gateway${request.url ?? '/'}`)
      const page =
        request.method === 'GET'
          ? (pages.get(url.pathname) ??
            described[url.pathname]?.() ??
            readersPageAt(options.root, url.pathname, request.headers))
          : undefined
      // The pages ask this origin, and may ask no other: by another name of the same machine they would get no answer.
      if (page && request.headers.host?.startsWith('localhost'))
        return response.writeHead(307, { location: origin + (request.url ?? '/') }).end()
      if (page) return response.writeHead(page.status ?? 200, page.headers).end(page.body)
      const route = routes.find((one) => serves(one, request.method ?? '', url.pathname))
      const handler = route && handlers.get(route.functionName)
      if (!route || !handler) {
        response.writeHead(404, { 'content-type': 'application/json' })
        return response.end('{"error":"no function serves this; see serverless.yml"}')
      }
      const at = Date.now()
      const event = makeEvent(options.eventShape ?? 'function-url', request, url, Buffer.concat(chunks))
      void handler(event, makeContext(route.functionName, options.timeLimitMs)).then(
        (answer) => {
          const { method = '' } = request
          const body = Buffer.concat(chunks).toString('utf8')
          const { statusCode: status, body: said } = answer
          if (url.pathname.startsWith('/orders'))
            options.onServed?.({ at, method, path: url.pathname + url.search, body, status, answer: said })
          response.writeHead(status, answer.headers).end(said)
        },
        (error: unknown) => {
          process.stderr.write(`${route.functionName} threw: ${String(error)}\n`)
          response.writeHead(500).end()
        },
      )
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const origin = `http://${options.host}:${port}`
  return {
    origin,
    async fire(functionName) {
      const event = { Type: 'Timer', TriggerName: functionName, Time: new Date().toISOString(), Message: '' }
      try {
        await handlers.get(functionName)?.(event, makeContext(functionName, options.timeLimitMs))
      } catch (error) {
        process.stderr.write(`${functionName} threw: ${String(error)}\n`)
      }
    },
    serve(served) {
      pages = served
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A Function URL hands over whatever path is called: which slash is too many, the function knows. */
function serves(route: ServedRoute, method: string, asked: string): boolean {
  const path = asked.replace(/(?<=.)\/$/, '')
  const pattern = route.path.split('/')
  const segments = path.split('/')
  return (
    route.method === method &&
    pattern.length === segments.length &&
    pattern.every((part, at) => part.startsWith('{') || part === segments[at])
  )
}

/** The three shapes a handler must understand; `function-url` is the documented one. */
export function makeEvent(
  shape: EventShape,
  request: Pick<IncomingMessage, 'method' | 'headers'>,
  url: URL,
  bytes: Buffer,
): Record<string, unknown> {
  // What the platform does with bytes that are no text is not documented; base64 is how it could pass them on.
  const text = isUtf8(bytes)
  const encode = shape === 'superset' || !text
  const query = Object.fromEntries(url.searchParams)
  const minimal = {
    body: encode ? bytes.toString('base64') : bytes.toString('utf8'),
    headers: { ...request.headers, 'x-scf-remote-addr': '127.0.0.1' },
    httpMethod: request.method,
    path: url.pathname,
    queryString: query,
  }
  const requestContext = {
    requestId: randomUUID(),
    httpMethod: request.method,
    path: url.pathname,
    sourceIp: '127.0.0.1',
    stage: 'release',
    identity: {},
  }
  switch (shape) {
    case 'function-url':
      return encode ? { ...minimal, isBase64Encoded: true } : minimal
    case 'api-gateway':
      return {
        ...minimal,
        requestContext: { ...requestContext, serviceId: 'service-local', path: '/orders/{out_trade_no}' },
        pathParameters: {},
        queryStringParameters: {},
        headerParameters: {},
        stageVariables: { stage: 'release' },
        // Seen as a text in Tencent's own samples.
        isBase64Encoded: encode ? 'true' : 'false',
      }
    case 'superset':
      return { ...minimal, requestContext, queryStringParameters: query, isBase64Encoded: true }
  }
}

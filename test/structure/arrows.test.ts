import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parse } from 'yaml'

/**
 * Who may know whom. When this fails, the message says which import is astray and which rooms that file may use;
 * usually the code wants to live in another room rather than the arrow to be added.
 */
const MAY_KNOW: Record<string, readonly string[]> = {
  'shared/base': [],
  'shared/net': ['shared/base'],
  'shared/http': ['shared/base'],
  'shared/order': ['shared/base'],
  'shared/store': ['shared/order', 'shared/base'],
  'shared/cloudpay': ['shared/net', 'shared/base'],
  'shared/access': ['shared/net', 'shared/store', 'shared/base'],
  'shared/outbox': ['shared/store', 'shared/net', 'shared/order', 'shared/base'],
  'shared/tencent': ['shared/net', 'shared/base'],
  'shared/payments': ['shared/store', 'shared/cloudpay', 'shared/order', 'shared/base'],
  'shared/app.ts': [
    'shared/base',
    'shared/net',
    'shared/store',
    'shared/cloudpay',
    'shared/access',
    'shared/outbox',
    'shared/payments',
    'shared/tencent',
  ],
  // No door: it works on the database itself, and on nothing else.
  'functions/migrate.ts': ['shared/http', 'shared/store', 'shared/tencent', 'shared/base'],
  functions: [
    'shared/app.ts',
    'shared/http',
    'shared/payments',
    'shared/outbox',
    'shared/net',
    'shared/access',
    'shared/order',
    'shared/base',
  ],
  cli: ['shared', 'deploy'],
  deploy: ['shared/tencent', 'shared/net', 'shared/base'],
  // Types and nothing else: what runs in a page comes from here alone.
  web: ['shared'],
  // What a merchant copies is what the demo uses; and the machine answers what its console asks.
  local: ['shared', 'deploy', 'examples', 'web'],
}

const root = resolve(__dirname, '../..')

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file))

const roomOf = (file: string): string => {
  const [top, second] = file.split('/')
  return top === 'shared' ? `${top}/${second}` : top!
}

type Import = { file: string; target: string; typeOnly: boolean }

/** Static and dynamic imports of our own files, resolved to paths from the root. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const statement =
    /(?:^|\n)\s*(import|export)\s+(type\s)?[^'"\n]*?(?:\{[^}]*\}[^'"\n]*?)?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/g
  return [...text.matchAll(statement)].map(([, , type, from, dynamic]) => {
    const target = relative(root, resolve(root, dirname(file), (from ?? dynamic)!))
    return { file, target: target === 'shared/app' ? 'shared/app.ts' : target, typeOnly: type !== undefined }
  })
}

const within = (target: string, room: string) => target === room || target.startsWith(`${room}/`)

describe.each(Object.entries(MAY_KNOW))('%s', (room, allowed) => {
  test(`knows only ${allowed.join(', ') || 'nothing of ours'}`, () => {
    const files = room.endsWith('.ts') ? [room] : sources(room).filter((file) => !(file in MAY_KNOW))
    expect(files.length).toBeGreaterThan(0)
    const astray = files
      .flatMap(importsOf)
      .filter(({ target }) => !within(target, room) && !allowed.some((one) => within(target, one)))
      .map(
        ({ file, target }) => `${file} imports ${target}: ${room} may use ${allowed.join(', ') || 'nothing'}`,
      )
    expect(astray).toEqual([])
  })
})

test('every room has its row in the table', () => {
  const rooms = new Set(['functions', 'shared', 'cli', 'deploy', 'local', 'web'].flatMap(sources).map(roomOf))
  expect([...rooms].filter((room) => !(room in MAY_KNOW))).toEqual([])
})

test('only functions, commands and tests take more than a type from app.ts', () => {
  const takers = ['shared', 'local', 'deploy']
    .flatMap(sources)
    .flatMap(importsOf)
    .filter(({ target, typeOnly }) => target === 'shared/app.ts' && !typeOnly)
  expect(takers).toEqual([])
})

test('web takes types alone from shared: nothing of the functions is sent to a phone', () => {
  const taken = sources('web')
    .flatMap(importsOf)
    .filter(({ target, typeOnly }) => !typeOnly && !within(target, 'web'))
  expect(taken).toEqual([])
})

test('order is pure: it never awaits', () => {
  const awaiting = sources('shared/order').filter((file) =>
    /\b(await|async|Promise)\b/.test(
      readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, ''),
    ),
  )
  expect(awaiting).toEqual([])
})

test('cloudpay does not know what an order state of ours is', () => {
  const words = /OrderState|order\/state|'pending'|'paid_after_close'/
  const knowing = sources('shared/cloudpay').filter((file) =>
    words.test(readFileSync(join(root, file), 'utf8')),
  )
  expect(knowing).toEqual([])
})

test('deployed code names no platform event inside a verb', () => {
  const naming = sources('shared/payments').filter((file) =>
    /httpMethod|queryString|isBase64Encoded|statusCode/.test(readFileSync(join(root, file), 'utf8')),
  )
  expect(naming).toEqual([])
})

test('serverless.yml, functions/ and their paths agree', async () => {
  const { readRoutes, readTimers } = await import('../../local/routes')
  const served = readRoutes(root)
  const files = sources('functions').map((file) => file.replace(/^functions\/|\.ts$/g, ''))
  const yml = parse(readFileSync(join(root, 'serverless.yml'), 'utf8')) as { functions: object }
  expect(Object.keys(yml.functions).sort()).toEqual(files.sort())
  // Only these may be without an event: whatever else is deployed has to be reachable.
  const started = [...served, ...readTimers(root)].map(({ functionName }) => functionName)
  expect(files.filter((file) => !started.includes(file))).toEqual(['migrate'])
  for (const functionName of new Set(served.map((one) => one.functionName))) {
    const { routes } = (await import(`../../functions/${functionName}`)) as {
      routes: { method: string; path: string }[]
    }
    const told = served.filter((one) => one.functionName === functionName)
    const tell = (all: { method: string; path: string }[]) =>
      all.map(({ method, path }) => `${method} ${path}`)
    expect(tell(routes)).toEqual(tell(told))
  }
})

test('no dependency is imported that package.json does not name, and none is named for nothing', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const named = new Set(
    ['functions', 'shared']
      .flatMap(sources)
      .flatMap((file) => [
        ...readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import\()\s*'([^.'][^']*)'/g),
      ])
      .map(([, name]) => name!)
      .filter((name) => !name.startsWith('node:') && name !== 'libsql'),
  )
  expect([...named].sort()).toEqual(Object.keys(manifest.dependencies).sort())
})

import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageService, readPackage } from '../../../deploy/package'
import { refuseZip } from '../../../deploy/refuse'
import { writeZip } from '../../../deploy/zip'
import { readZip } from '../../support/controlPlane/zip'
import { wantedService } from './wanted'

const temporary = () => mkdtempSync(join(tmpdir(), 'package-'))
const service = wantedService()
const [createOrder] = service.functions

test('the same service gives the same bytes, whatever the time zone', async () => {
  const zone = process.env['TZ']
  try {
    process.env['TZ'] = 'America/St_Johns'
    const one = await packageService(service, temporary())
    process.env['TZ'] = 'Asia/Shanghai'
    const two = await packageService(service, temporary())
    expect(two.map(({ sha256 }) => sha256)).toEqual(one.map(({ sha256 }) => sha256))
    for (const { zip, key } of one) {
      const [entry, ...more] = readZip(zip)
      expect(more).toEqual([])
      // 1 January 2000, 00:00.
      expect(entry).toMatchObject({ name: `${key}.js`, mode: 0o100644, dosTime: 0x28210000 })
    }
  } finally {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  }
})

test('entries are sorted, however they were given', async () => {
  const [a, b] = ['a.js', 'b.js'].map((name) => ({ name, bytes: Buffer.from(name) }))
  expect(await writeZip([b!, a!])).toEqual(await writeZip([a!, b!]))
})

test('with source maps on, an error names the line of the source', async () => {
  const [artifact] = await packageService(
    { ...service, sourceMaps: true, functions: [service.functions[3]!] },
    temporary(),
  )
  const dir = temporary()
  const entries = readZip(artifact!.zip)
  expect(entries.map(({ name }) => name)).toEqual([
    'migrate.bundle.js',
    'migrate.bundle.js.map',
    'migrate.js',
  ])
  for (const { name, bytes } of entries) writeFileSync(join(dir, name), bytes)
  expect(entries[2]!.bytes.toString().trim().split('\n')).toHaveLength(1)
  const script = `require('./migrate.js').main_handler({}, {}).catch((error) => console.log(error.stack))`
  const stack = execFileSync(process.execPath, ['-e', script], {
    cwd: dir,
    env: { DATABASE_URL: 'mysql://u:p@127.0.0.1:1/d' },
  })
  expect(stack.toString()).toMatch(/\.ts:\d+:\d+/)
})

test('what was packaged is read again, and what was not is asked for', async () => {
  const dir = temporary()
  const packaged = await packageService(service, dir)
  expect(readPackage(service.functions, dir)).toEqual(packaged)
  expect(() => readPackage(service.functions, temporary())).toThrow(/run sls package/)
})

test('a handler without a source is refused', async () => {
  const unknown = wantedService((yml) => (yml.functions['timer']!.handler = 'tymer.main_handler'))
  await expect(packageService(unknown, temporary())).rejects.toThrow(/no functions\/tymer\.ts/)
})

describe('refused', () => {
  const zip = (names: Record<string, number>) =>
    writeZip(Object.entries(names).map(([name, size]) => ({ name, bytes: Buffer.alloc(size) })))

  test('a zip over 7 MB, with the largest files named', async () => {
    const large = await zip({ 'createOrder.js': 1000, 'data.json': 7 << 20, 'more.json': 5000 })
    expect(() => refuseZip(createOrder!, large)).toThrow(/Largest: data\.json \(7168 KB\), more\.json/)
    expect(() => refuseZip(createOrder!, large, [{ name: 'node_modules/big/x.js', size: 7 << 20 }])).toThrow(
      /Largest: node_modules\/big\/x\.js/,
    )
  })

  test('an entry outside the root', async () => {
    const astray = await zip({ 'createOrder.js': 1, 'lib/x.js': 1 })
    expect(() => refuseZip(createOrder!, astray)).toThrow(/lib\/x\.js, which is outside its root/)
    // yazl would not write it; somebody else's tool does.
    const climbing = Buffer.from(
      (await zip({ 'createOrder.js': 1, 'aaaa.js': 1 })).toString('latin1').replaceAll('aaaa.js', '../a.js'),
      'latin1',
    )
    expect(() => refuseZip(createOrder!, climbing)).toThrow(/\.\.\/a\.js, which is outside its root/)
  })

  test('a zip without the file of the handler, and what is no zip', async () => {
    const other = await zip({ 'x.js': 1 })
    expect(() => refuseZip(createOrder!, other)).toThrow(/holds no createOrder\.js/)
    expect(() => refuseZip(createOrder!, Buffer.from('hello'))).toThrow(/no zip/)
  })
})

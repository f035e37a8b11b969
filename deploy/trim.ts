import { readFileSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Message, PartialMessage, Plugin } from 'esbuild'

/*
 * A cold start pays for every kilobyte that is parsed and every module that is run before the first
 * request, and a database driver is mostly code we never reach: the other charsets, pools, prepared
 * statements, other runtimes. This plugin leaves those parts out while bundling.
 *
 * Two rules keep that safe:
 * - whatever is left out throws a sentence that says so when it is reached after all. The exceptions are
 *   replacements that do the whole job of the original in a smaller way;
 * - everything replaced is looked for by its path and its text, and the build fails when one is not found
 *   or not loaded any more, so an upgrade of a driver cannot lose a trim, or trim something else, unseen.
 *
 * Escaping of values (sql-escaper), the protocol parsers and the steps of the password exchange are never
 * replaced: those are where a mistake would be a security hole.
 */

/** Makes the new text of a file from its old text; `file` is its absolute path. */
type Change = (source: string, file: string) => string

interface Trim {
  /** What a bare import gives instead of the package's own index: an ES module, so that importing more fails the build. */
  readonly entry: string
  /** Files of the package, by their path inside it. */
  readonly files: Readonly<Record<string, Change>>
  /** Packages it depends on, by name: the text that stands in for them. */
  readonly dependencies: Readonly<Record<string, (packageDir: string) => string>>
}

class TrimError extends Error {}

const sentence = (what: string) =>
  `deploy/trim.ts left ${what} out of this bundle, but the code has reached it.`

/** A CommonJS module that refuses to be called, constructed or read. `names` are exports needed while loading. */
function refusing(what: string, names: readonly string[] = []): string {
  const refuse = `function refuse(){throw new Error(${JSON.stringify(sentence(what))})}\n`
  if (names.length > 0) return `${refuse}module.exports={${names.map((name) => `${name}:refuse`).join()}}`
  // mysql2's packets/index.js looks at each class's prototype; symbols are asked for by inspection only.
  const known = `typeof key==='symbol'||key==='prototype'||key==='__esModule'?target[key]:refuse()`
  return `${refuse}module.exports=new Proxy(refuse,{get:(target,key)=>${known}})`
}

const leaveOut =
  (what: string, ...names: string[]): Change =>
  () =>
    refusing(what, names)

/** An ES module with the same classes and functions as the original, each refusing to be used. */
const leaveOutExports =
  (what: string): Change =>
  (source) => {
    const names = [...source.matchAll(/^export (?:class|(?:async )?function) (\w+)/gm)].map(
      ([, name]) => name!,
    )
    const statements = source.match(/^export\b/gm) ?? []
    if (names.length === 0 || names.length !== statements.length) {
      throw new TrimError('has exports of a kind that is not understood')
    }
    const refuse = `function refuse(){throw new Error(${JSON.stringify(sentence(what))})}\n`
    return refuse + names.map((name) => `export function ${name}(){refuse()}`).join('\n')
  }

/** Leaves the methods with these names (separated by blanks) out of the classes of a file, as tsc lays them out. */
const leaveOutMethods =
  (of: string, names: string): Change =>
  (source) => {
    const text = names.split(' ').reduce((rest, name) => {
      const method = new RegExp(`^ {4}(?:async )?${name}\\(.*\\) \\{\\n(?: {5}.*\\n|\\n)*? {4}\\}$`, 'gm')
      if (!method.test(rest)) throw new TrimError(`has no method ${name}`)
      return rest.replace(method, `${name}(){refuse('${name}')}`)
    }, source)
    const refusal = JSON.stringify(sentence(`NAME ${of}`)).replace('NAME', '"+name+"')
    return `${text}\nfunction refuse(name){throw new Error(${refusal})}`
  }

/** A table of files of which nothing is used; `names` are separated by blanks. What only they load goes with them. */
const without = (name: string, dir: string, names: string, leave: (what: string) => Change) =>
  Object.fromEntries(
    names.split(' ').map((each) => [`${dir}/${each}.js`, leave(`${name}/${dir}/${each}.js`)]),
  )

/** Replaces texts that must each be there exactly once. */
const swap =
  (...pairs: readonly (readonly [from: string, to: string])[]): Change =>
  (source) =>
    pairs.reduce((text, [from, to]) => {
      const parts = text.split(from)
      if (parts.length !== 2) {
        throw new TrimError(`has ${JSON.stringify(from)} ${parts.length - 1} times instead of once`)
      }
      return parts.join(to)
    }, source)

/** Loads a module of Node's where it is used instead of at the top, so that an unused one costs nothing. */
const lazily =
  (name: string, module: string): Change =>
  (source) => {
    const loading = new RegExp(`^const ${name} = require\\('${module}'\\);?$`, 'gm')
    const uses = new RegExp(`(?<![\\w$.'"\`])${name}(?=\\.\\w)`, 'g')
    const found = source.match(loading)?.length ?? 0
    if (found !== 1) throw new TrimError(`loads ${module} as ${name} ${found} times instead of once`)
    if (!uses.test(source)) throw new TrimError(`does not use ${name}`)
    return source.replace(loading, '').replace(uses, `require('${module}')`)
  }

const both =
  (...changes: readonly Change[]): Change =>
  (source, file) =>
    changes.reduce((text, change) => change(text, file), source)

/** Replaces a whole file with one that does the same, as long as it still has the parts that were replaced. */
const rewrite =
  (parts: readonly string[], text: string): Change =>
  (source) => {
    const gone = parts.find((part) => !source.includes(part))
    if (gone !== undefined) throw new TrimError(`no longer has ${JSON.stringify(gone)}`)
    return text
  }

/** What a module of the package exports, for tables that are written out anew while building. */
const loaded = (file: string): Record<string, unknown> => createRequire(file)(file) as Record<string, unknown>

// ---------------------------------------------------------------- mysql2

/*
 * The server's own default charset reaches the client too: it decodes the notes of an OK packet ("Rows
 * matched: 1 ..."), which are plain ASCII whatever that charset is. So a charset that agrees with ASCII is
 * decoded as long as the bytes are ASCII, and everything else is refused. `cesu8` is mysql2's name for
 * utf8mb3, whose valid text (nothing beyond U+FFFF) has the same bytes in UTF-8.
 */
const ASCII_CHARSETS =
  'armscii8 big5 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932 dec8 eucjp eucjpms euckr gb18030 gb2312 gbk ' +
  'geostd8 greek hebrew hp8 keybcs2 koi8r koi8u latin2 latin5 latin7 macintosh macroman sjis tis620'

const ICONV = `
const ascii = new Set(${JSON.stringify(ASCII_CHARSETS)}.split(' '))
function refuse(charset) {
  throw new Error(${JSON.stringify(sentence('iconv-lite'))} + ' It was asked for the charset ' + charset + '.')
}
const isAscii = (bytes) => bytes.every((byte) => byte < 128)
exports.getDecoder = (charset) => ({
  write(bytes) {
    if (charset !== 'cesu8' && !(ascii.has(charset) && isAscii(bytes))) refuse(charset)
    return bytes.toString('utf8')
  },
  end() {},
})
exports.getEncoder = (charset) => ({
  write(text) {
    const bytes = Buffer.from(text, 'utf8')
    if (charset === 'cesu8' ? /[\\ud800-\\udfff]/.test(text) : !(ascii.has(charset) && isAscii(bytes))) refuse(charset)
    return bytes
  },
  end() {},
})
`

/** Of `long`, a large class of 64-bit arithmetic, mysql2 needs to join two words and read the number. */
const LONG = `
module.exports = class Long {
  constructor(low, high, unsigned) {
    this.value = BigInt[unsigned ? 'asUintN' : 'asIntN'](64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0))
  }
  toNumber() {
    return Number(this.value)
  }
  toString() {
    return this.value.toString()
  }
}
`

/** Tracing over node:diagnostics_channel makes 25 channels on load; nothing here subscribes to them. */
const TRACING = `
exports.shouldTrace = () => false
exports.traceCallback = (channel, fn, position, context, thisArg, ...args) => fn.apply(thisArg, args)
exports.tracePromise = (channel, fn) => fn()
exports.getServerContext = () => ({})
`

/** Half of mysql2's code: 4000 assignments. One string costs nothing to load and is cut up on the first error. */
const errorNames: Change = (_source, file) => {
  const names: string[] = []
  for (const [code, name] of Object.entries(loaded(file))) {
    if (/^\d+$/.test(code)) names[Number(code)] = String(name)
  }
  if (names[1062] !== 'ER_DUP_ENTRY') throw new TrimError('is not a table of error names by code any more')
  return `let names\nmodule.exports=(code)=>(names??=${JSON.stringify(names.join())}.split(','))[code]||undefined`
}

/** Connection charsets: the bundle speaks utf8mb4 only. BINARY is how a column of bytes is told from text. */
const charsets: Change = (_source, file) => {
  const kept = Object.entries(loaded(file)).filter(([name]) => /^UTF8MB4(_|$)|^BINARY$/.test(name))
  const table = Object.fromEntries(kept)
  if (table['BINARY'] !== 63 || table['UTF8MB4_BIN'] !== 46 || table['UTF8MB4'] !== 45) {
    throw new TrimError('is not a table of charset numbers by name any more')
  }
  return `module.exports=${JSON.stringify(table)}`
}

const mysqlVersion: Change = (source, file) => {
  const { version } = loaded(join(dirname(file), '../package.json'))
  return swap([
    "const { version } = require('../package.json')",
    `const version = ${JSON.stringify(version)}`,
  ])(source, file)
}

const MYSQL_FILES =
  'parsers/text_parser constants/ssl_profiles promise/connection commands/server_handshake commands/prepare ' +
  'commands/close_statement commands/execute commands/register_slave commands/binlog_dump commands/change_user ' +
  'commands/reset_connection packets/binary_row packets/binlog_dump packets/change_user packets/close_statement ' +
  'packets/execute packets/prepare_statement packets/prepared_statement_header packets/register_slave ' +
  'packets/reset_connection packets/text_row'

const MYSQL2: Trim = {
  entry: `import createConnection from './lib/create_connection.js'\nexport { createConnection }`,
  files: {
    // Plain connections need no TLS, and Node loads it slowly.
    'lib/base/connection.js': lazily('Tls', 'tls'),
    'lib/auth_41.js': lazily('crypto', 'crypto'),
    'lib/auth_plugins/caching_sha2_password.js': lazily('crypto', 'crypto'),
    'lib/auth_plugins/sha256_password.js': both(lazily('crypto', 'crypto'), lazily('Tls', 'tls')),
    'lib/connection_config.js': both(
      mysqlVersion,
      swap([
        "`Unknown charset '${charset}'`",
        "`Unknown charset '${charset}': deploy/trim.ts left only utf8mb4 in`",
      ]),
    ),
    // Row parsers (text_parser.js) are compiled with new Function unless disableEval is set: slower for a few rows.
    'lib/commands/query.js': swap(['if (this.options.disableEval) {', 'if (true) {']),
    'lib/packets/packet.js': swap(['ErrorCodeToName[errorCode]', 'ErrorCodeToName(errorCode)']),
    'lib/constants/errors.js': errorNames,
    'lib/constants/charsets.js': charsets,
    // Looks through every node_modules folder for a syntax highlighter on load.
    'lib/helpers.js': swap([
      'highlightFn = require(`cardinal${REQUIRE_TERMINATOR}`).highlight;',
      "throw new Error('no highlighter');",
    ]),
    'lib/tracing.js': rewrite(
      [
        'function getServerContext(',
        'function shouldTrace(',
        'function traceCallback(',
        'function tracePromise(',
      ],
      TRACING,
    ),
    'lib/compressed_protocol.js': leaveOut('mysql2/lib/compressed_protocol.js', 'enableCompression'),
    // Query attributes: parameters are escaped into the text instead.
    'lib/packets/encode_parameter.js': leaveOut('mysql2/lib/packets/encode_parameter.js', 'toParameter'),
    ...without('mysql2', 'lib', MYSQL_FILES, leaveOut),
  },
  dependencies: {
    'iconv-lite': () => ICONV,
    long: () => LONG,
    'named-placeholders': () => refusing('named-placeholders'),
  },
}

// ---------------------------------------------------------------- pg

/** pg asks whether it runs on Cloudflare, which makes Node load its whole fetch and web crypto. */
const PG_STREAM = `
exports.getStream = () => new (require('net').Socket)()
exports.getSecureStream = (options) => require('tls').connect(options)
`

/** The same functions on Node's own crypto instead of web crypto, which is slow to load. */
const PG_CRYPTO = `
const hash = (name, data) => require('crypto').createHash(name).update(data)
const names = { MD5: 'md5', 'SHA-1': 'sha1', 'SHA-224': 'sha224', 'SHA-256': 'sha256', 'SHA-384': 'sha384',
  'SHA-512': 'sha512', 'SHA512-224': 'sha512-224', 'SHA512-256': 'sha512-256' }
async function md5(data) {
  return hash('md5', data).digest('hex')
}
module.exports = {
  md5,
  // See AuthenticationMD5Password at https://www.postgresql.org/docs/current/protocol-flow.html
  async postgresMd5PasswordHash(user, password, salt) {
    const inner = await md5(password + user)
    return 'md5' + (await md5(Buffer.concat([Buffer.from(inner), salt])))
  },
  randomBytes: (length) => require('crypto').randomBytes(length),
  deriveKey: (password, salt, iterations) =>
    new Promise((resolve, reject) => {
      const done = (error, key) => (error ? reject(error) : resolve(key))
      require('crypto').pbkdf2(password, salt, iterations, 32, 'sha256', done)
    }),
  sha256: async (data) => hash('sha256', data).digest(),
  async hashByName(name, data) {
    if (!Object.hasOwn(names, name)) throw new Error('Unknown hash ' + name)
    return hash(names[name], data).digest()
  },
  hmacSha256: async (key, text) => require('crypto').createHmac('sha256', key).update(text).digest(),
}
`

/** Type oids whose text is read as pg-types does: bool, int2, int4, oid, int8, float4, float8, json, jsonb. */
const PG_KEPT = new Set([16, 20, 21, 23, 26, 114, 700, 701, 3802])

/**
 * pg-types without arrays, dates, intervals, bytea and geometry, nor the binary format. Types it had no
 * parser for (text, varchar, char, numeric, uuid, ...) are strings in both. A left-out type throws when a value
 * of it is read, which rejects that query: when the parser is looked up, nobody would catch it.
 */
function pgTypes(packageDir: string): string {
  const file = createRequire(join(packageDir, 'lib/client.js')).resolve('pg-types/lib/textParsers.js')
  const oids: number[] = []
  ;(loaded(file) as { init: (register: (oid: number) => void) => void }).init((oid) => oids.push(oid))
  if ([...PG_KEPT].some((oid) => !oids.includes(oid))) throw new TrimError('has other type parsers now')
  return `
const integer = (value) => parseInt(value, 10)
const bool = (value) => ['TRUE', 't', 'true', 'y', 'yes', 'on', '1'].includes(value)
const json = (value) => JSON.parse(value)
const text = {
  16: bool, 20: String, 21: integer, 23: integer, 26: integer, 114: json, 700: parseFloat, 701: parseFloat, 3802: json,
}
const refuse = () => {
  throw new Error(${JSON.stringify(sentence("pg-types' parser of this column"))})
}
for (const oid of ${JSON.stringify(oids.filter((oid) => !PG_KEPT.has(oid)))}) text[oid] = refuse
exports.getTypeParser = (oid, format = 'text') => (format === 'text' ? text[oid] || String : refuse)
exports.setTypeParser = (oid, format, parse) => {
  if (typeof format === 'string' && format !== 'text') refuse()
  text[oid] = parse || format
}
`
}

const PG: Trim = {
  entry: `import Client from './lib/client.js'\nexport { Client }`,
  files: {
    'lib/stream.js': rewrite(
      ['getStream,', 'getSecureStream,', 'return new net.Socket()', 'tls.connect(options)'],
      PG_STREAM,
    ),
    'lib/crypto/utils.js': rewrite(
      [
        'module.exports = {\n  postgresMd5PasswordHash,\n  randomBytes,\n  deriveKey,\n  sha256,\n  hashByName,\n  hmacSha256,\n  md5,\n}',
        "{ name: 'PBKDF2', hash: 'SHA-256', salt: salt, iterations: iterations }",
        "{ name: 'HMAC', hash: 'SHA-256' }",
      ],
      PG_CRYPTO,
    ),
    'lib/connection-parameters.js': lazily('dns', 'dns'),
    // A missing password. On the connection and not on the client, so that connect() rejects.
    'lib/client.js': swap([
      `        const pgPass = require('pgpass')
        pgPass(this.connectionParameters, (pass) => {
          if (undefined !== pass) {
            pgPassDeprecationNotice()
            this.connectionParameters.password = this.password = pass
          }
          cb()
        })
      } catch (e) {
        this.emit('error', e)
      }`,
      `        throw new Error(${JSON.stringify(sentence('pgpass') + ' The client was given no password.')})
      } catch (e) {
        con.emit('error', e)
      }`,
    ]),
  },
  dependencies: {
    'pg-connection-string': () => refusing('pg-connection-string', ['parse']),
    'pg-types': pgTypes,
  },
}

// ---------------------------------------------------------------- kysely

const MODULES = 'dist/esm'

const KYSELY_FILES =
  'schema/schema dynamic/dynamic plugin/with-schema/with-schema-plugin query-builder/delete-query-builder ' +
  'query-builder/merge-query-builder query-builder/on-conflict-builder query-builder/aggregate-function-builder ' +
  'query-builder/over-builder query-builder/case-builder query-builder/json-path-builder parser/with-parser ' +
  'parser/set-operation-parser parser/fetch-parser parser/top-parser parser/data-type-parser'

/** Kinds of node: the statements of migrations, which are never bundled, and what the builders above would make. */
const KYSELY_NODES =
  'CreateTable ColumnDefinition References DropTable CreateIndex DropIndex CreateSchema DropSchema AddIndex ' +
  'PrimaryKeyConstraint UniqueConstraint CheckConstraint ForeignKeyConstraint AlterTable AddColumn RenameColumn ' +
  'DropColumn AlterColumn ModifyColumn AddConstraint DropConstraint RenameConstraint CreateView DropView ' +
  'RefreshMaterializedView Generated DefaultValue CreateType DropType DeleteQuery MergeQuery Matched OnConflict ' +
  'AggregateFunction Over PartitionBy PartitionByItem Case When JSONReference JSONPath JSONPathLeg ' +
  'JSONOperatorChain With CommonTableExpression CommonTableExpressionName SetOperation Fetch Top Cast'

/** Every compiler binds its 90 methods by kind of node when it is made. Their names tell the kind as well. */
const visitByName: Change = (source, file) => {
  const [table = '', lines = ''] = /^ {4}#visitors = freeze\(\{\n([^]*?)^ {4}\}\);$/m.exec(source) ?? []
  const others = lines.replace(/^ {8}(\w+)Node: this\.visit\1\.bind\(this\),\n/gm, '')
  if (lines === '' || others !== '') throw new TrimError('does not name its methods after the kinds of node')
  const byName = "this['visit' + node.kind.slice(0, -4)](node)"
  return swap([table, ''], ['this.#visitors[node.kind](node)', byName])(source, file)
}

const dialect = (name: string) => {
  const path = `./${MODULES}/dialect/${name.toLowerCase()}/${name.toLowerCase()}`
  return `export { ${name}Adapter } from '${path}-adapter.js'
    export { ${name}QueryCompiler } from '${path}-query-compiler.js'\n`
}

const KYSELY: Trim = {
  entry: `export { Kysely } from './${MODULES}/kysely.js'
    export { sql } from './${MODULES}/raw-builder/sql.js'
    ${dialect('Mysql')} ${dialect('Postgres')} ${dialect('Sqlite')}`,
  files: {
    ...without('kysely', MODULES, KYSELY_FILES, leaveOutExports),
    // Transactions that are handles instead of functions bring four classes.
    [`${MODULES}/kysely.js`]: leaveOutMethods('of Kysely', 'startTransaction connection'),
    [`${MODULES}/query-compiler/default-query-compiler.js`]: leaveOutMethods(
      "of kysely's query compiler",
      KYSELY_NODES.replace(/\w+/g, 'visit$&'),
    ),
    [`${MODULES}/operation-node/operation-node-visitor.js`]: visitByName,
  },
  dependencies: {},
}

// ---------------------------------------------------------------- the plugin

const TRIMS: Readonly<Record<string, Trim>> = { mysql2: MYSQL2, pg: PG, kysely: KYSELY }

interface Found {
  readonly dir: string
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}

/** The folder of the package that holds a file. */
function packageOf(name: string, file: string): Found {
  for (let dir = dirname(file); dir !== dirname(dir); dir = dirname(dir)) {
    const manifest = join(dir, 'package.json')
    if (!existsSync(manifest)) continue
    const found = JSON.parse(readFileSync(manifest, 'utf8')) as Partial<Found> & { name?: string }
    if (found.name === name)
      return { dir, version: found.version ?? '?', dependencies: found.dependencies ?? {} }
  }
  throw new TrimError(`deploy/trim.ts cannot find the package ${name} above ${file}.`)
}

const advice = 'Compare the package with deploy/trim.ts and bring the two together.'

/** Leaves out of the bundle what we do not use of mysql2, pg and kysely; of what is in `whole` it leaves out nothing. */
export function trimDrivers(whole: readonly ('mysql2' | 'pg' | 'kysely')[] = []): Plugin {
  const trims = Object.entries(TRIMS).filter(([name]) => !(whole as readonly string[]).includes(name))
  return {
    name: 'trim-drivers',
    setup(build) {
      const packages = new Map<string, Found>()
      const changes = new Map<string, { readonly label: string; readonly change: Change }>()
      /** What is to be replaced and has not been yet: a trim that nothing reaches has gone stale. */
      const pending = new Set<string>()

      build.onStart(() => {
        for (const each of [packages, changes, pending]) each.clear()
      })

      const find = (name: string, trim: Trim, main: string): PartialMessage[] => {
        const found = packageOf(name, main)
        const named = `${name} ${found.version}`
        const missing = [
          ...Object.keys(trim.files).filter((file) => !existsSync(join(found.dir, file))),
          ...Object.keys(trim.dependencies).filter((dependency) => !(dependency in found.dependencies)),
        ]
        if (missing.length > 0) {
          return [
            {
              text: `deploy/trim.ts replaces ${missing.join(', ')} of ${named}, which does not have it. ${advice}`,
            },
          ]
        }
        packages.set(name, found)
        for (const [file, change] of Object.entries(trim.files)) {
          const label = `${name}/${file}`
          changes.set(join(found.dir, file), { label, change })
          pending.add(label)
        }
        for (const dependency of Object.keys(trim.dependencies)) pending.add(`${dependency} (of ${name})`)
        return []
      }

      const failure = (label: string, error: unknown): { errors: PartialMessage[] } => {
        if (!(error instanceof TrimError)) throw error
        return {
          errors: [{ text: `deploy/trim.ts cannot replace ${label}: it ${error.message}. ${advice}` }],
        }
      }

      for (const [name, trim] of trims) {
        build.onResolve({ filter: new RegExp(`^${name}$`) }, async (args) => {
          if (args.pluginData === trimDrivers) return undefined
          const { kind, importer, resolveDir } = args
          const main = await build.resolve(name, { kind, importer, resolveDir, pluginData: trimDrivers })
          if (main.errors.length > 0) return { errors: main.errors }
          const errors = packages.has(name) ? [] : find(name, trim, main.path)
          if (errors.length > 0) return { errors }
          return { path: name, namespace: 'trim' }
        })
        // mysql2/promise, pg/lib/...: would bring in beside the trimmed driver what was left out of it.
        build.onResolve({ filter: new RegExp(`^${name}/`) }, (args) => ({
          errors: [
            { text: `deploy/trim.ts bundles ${name} only as a whole: import '${name}', not '${args.path}'.` },
          ],
        }))
        for (const dependency of Object.keys(trim.dependencies)) {
          build.onResolve({ filter: new RegExp(`^${dependency}$`) }, ({ importer, path }) => {
            const dir = packages.get(name)?.dir
            if (dir === undefined || !importer.startsWith(join(dir, 'lib'))) return undefined
            return { path: `${name}:${path}`, namespace: 'trim' }
          })
        }
      }

      build.onLoad({ filter: /./, namespace: 'trim' }, ({ path }) => {
        const [name = '', dependency] = path.split(':')
        const trim = TRIMS[name]!
        const resolveDir = packages.get(name)!.dir
        if (dependency === undefined) return { contents: trim.entry, resolveDir }
        pending.delete(`${dependency} (of ${name})`)
        try {
          return { contents: trim.dependencies[dependency]!(resolveDir), resolveDir }
        } catch (error) {
          return failure(dependency, error)
        }
      })

      build.onLoad({ filter: /[\\/](?:mysql2|pg|kysely)[\\/].*\.js$/ }, ({ path }) => {
        const found = changes.get(path)
        if (found === undefined) return undefined
        pending.delete(found.label)
        try {
          return { contents: found.change(readFileSync(path, 'utf8'), path), resolveDir: dirname(path) }
        } catch (error) {
          return failure(found.label, error)
        }
      })

      build.onEnd((result: { errors: Message[] }) => {
        if (result.errors.length > 0 || pending.size === 0) return undefined
        const stale = [...pending].join(', ')
        return {
          errors: [{ text: `deploy/trim.ts replaces ${stale}, which is not loaded any more. ${advice}` }],
        }
      })
    },
  }
}

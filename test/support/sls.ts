import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export type Ran = { code: number | NodeJS.Signals; stdout: string; stderr: string; all: string }

/** A clone of this repository that a test may edit, with the real `sls` in it. */
export type Clone = {
  dir: string
  /** Runs `sls` to its end, with exactly `env` beside PATH and an empty HOME. */
  sls(args: readonly string[], env?: Record<string, string>): Promise<Ran>
  start(args: readonly string[], env?: Record<string, string>): { child: ChildProcess; ended: Promise<Ran> }
  edit(file: string, change: (text: string) => string): void
  /** Puts a file back as it was cloned. */
  restore(...files: string[]): void
  read(file: string): Buffer
  remove(): void
}

const ROOT = resolve(__dirname, '../..')
const PARTS = [
  'cli',
  'deploy',
  'functions',
  'local',
  'shared',
  'package.json',
  'tsconfig.json',
  'serverless.yml',
]

export function makeClone(): Clone {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'clone-')))
  for (const part of PARTS) cpSync(join(ROOT, part), join(dir, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const home = mkdtempSync(join(tmpdir(), 'home-'))
  const running = new Set<ChildProcess>()

  const start: Clone['start'] = (args, env = {}) => {
    const child = spawn(join(dir, 'node_modules', '.bin', 'sls'), args, {
      cwd: dir,
      env: { PATH: process.env['PATH'] ?? '', HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let [stdout, stderr, all] = ['', '', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => void ((stdout += text), (all += text)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => void ((stderr += text), (all += text)))
    const ended = once(child, 'close').then(([code, signal]) => {
      running.delete(child)
      return { code: (code ?? signal) as number | NodeJS.Signals, stdout, stderr, all }
    })
    return { child, ended }
  }

  return {
    dir,
    start,
    sls: (args, env) => start(args, env).ended,
    edit(file, change) {
      const before = readFileSync(join(dir, file), 'utf8')
      const after = change(before)
      if (after === before) throw new Error(`The test meant to change ${file} and did not.`)
      writeFileSync(join(dir, file), after)
    },
    restore(...files) {
      for (const file of files) cpSync(join(ROOT, file), join(dir, file), { recursive: true, force: true })
    },
    read: (file) => readFileSync(join(dir, file)),
    remove() {
      for (const child of running) child.kill('SIGKILL')
      for (const each of [dir, home]) rmSync(each, { recursive: true, force: true })
    },
  }
}

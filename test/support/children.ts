import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Child = {
  /** The next line it prints; undefined once it has ended. */
  line(): Promise<string | undefined>
  say(line: string): void
  kill(signal: NodeJS.Signals): void
  /** Resolves with its exit code, or with the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
}

const started = new Set<ChildProcess>()

/** For after each test: a child of a test that has failed would go on for ever. */
export function killChildren(): void {
  for (const child of started) child.kill('SIGKILL')
  started.clear()
}

/**
 * Runs TypeScript in a process of its own. `load('shared/…')` there gives a module of the repository, or of another
 * checkout of it at `root`, `told()` the next line that is said to it. Warnings and errors go to this process's stderr.
 */
export function startChild(script: string, root = join(__dirname, '../..')): Child {
  const program = `
    const load = (file) => require(require('node:path').join(${JSON.stringify(root)}, file))
    const lines = require('node:readline').createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    const told = async () => (await lines.next()).value
    ;(async () => { ${script} })().then(() => process.exit(0), (error) => {
      console.error(error)
      process.exit(1)
    })`
  const child = spawn(process.execPath, ['--import', 'tsx', '--eval', program], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  started.add(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    line: async () => ((await lines.next()) as IteratorResult<string, undefined>).value,
    say: (line) => void child.stdin.write(`${line}\n`),
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals),
  }
}

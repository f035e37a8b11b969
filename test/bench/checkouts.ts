import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../deploy/bundle'
import { killChildren } from '../support/children'
import { git, type Commit } from './commits'

export type Checkout = { root: string; packages: 'linked' | 'installed' }

/**
 * A folder outside the repository for worktrees of other commits. It goes, and Git forgets the worktrees, when this
 * process ends: at its end, after an error, or by Ctrl-C.
 */
export function openCheckouts() {
  const dir = mkdtempSync(join(tmpdir(), 'bench-'))
  const roots: string[] = []

  process.once('exit', () => {
    // They still write into the checkouts.
    killChildren()
    for (const root of roots) {
      try {
        git('worktree', 'remove', '--force', root)
      } catch {
        // Not made yet, or half made: the folder goes below, and Git forgets what has no folder.
      }
    }
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  // Without a listener a signal ends the process and no 'exit' is told; npm and tsx pass on a second one meanwhile.
  for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }))
    process.on(signal, () => process.exit(128 + number))

  return {
    dir,
    async checkOut({ hash }: Commit, name: string): Promise<Checkout> {
      const root = join(dir, name)
      roots.push(root)
      git('worktree', 'add', '--quiet', '--detach', root, hash)
      return { root, packages: await installInto(root) }
    },
  }
}

/** The packages of here, where the commit wants the same ones. */
async function installInto(root: string): Promise<Checkout['packages']> {
  const lockOf = (folder: string) => readFileSync(join(folder, 'package-lock.json'), 'utf8')
  if (lockOf(root) === lockOf(ROOT)) {
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
    return 'linked'
  }
  await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root })
  return 'installed'
}

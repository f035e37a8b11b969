import { execFileSync } from 'node:child_process'
import { ROOT } from '../../deploy/bundle'

export const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()

export type Commit = { hash: string; subject: string }

export function commitCalled(name: string): Commit {
  const hash = git('rev-parse', '--verify', '--end-of-options', `${name}^{commit}`)
  return { hash, subject: git('log', '-1', '--format=%s', hash) }
}

/** What decides what is measured. The results themselves do not. */
const MEASURED = ['shared', 'functions', 'deploy', 'test/bench', 'package-lock.json']

/** Of what is measured, the files that are not as HEAD has them. */
export const uncommitted = (): string[] =>
  git('status', '--porcelain', '--', ...MEASURED, ':(exclude)test/bench/RESULTS.md')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [line.trim().replace(/^\S+\s+/, '')]))

/** Which code is about to be measured, as a sentence. */
export function measuredCommit(): string {
  let hash: string
  try {
    hash = git('rev-parse', 'HEAD')
  } catch {
    return 'Commit unknown: this is no checkout of a Git repository.'
  }
  const changed = uncommitted()
  return changed.length === 0
    ? `Commit ${hash}.`
    : `Commit ${hash} with uncommitted changes: ${changed.map((file) => `\`${file}\``).join(', ')}.`
}

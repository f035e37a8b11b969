import type { Env } from '../base/config'
import { referringNames, type ReferringVariable } from './names'
import type { SecretsOptions } from './secrets'

/** Reads the environment with its references looked up. One without any comes back as it is and loads nothing. */
export function secretsReader(env: Env, options: SecretsOptions = {}): () => Promise<Env> {
  let read: (() => Promise<Env>) | undefined
  return async () => {
    if (referringNames(env, options.names).length === 0) return env
    const { createSecrets } = await import('./secrets')
    read ??= createSecrets(env, options)
    return read()
  }
}

/** The same, once. */
export const withSecrets = (env: Env, names?: readonly ReferringVariable[]): Promise<Env> =>
  secretsReader(env, names && { names })()

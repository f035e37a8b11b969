import type { Env } from '../base/config'
import { SECRET_VARIABLES } from '../base/secretVariables'

/**
 * Variables that may hold a reference instead of their value: `ssm:NAME` or `ssm:NAME/VERSION`. The secret's text is
 * the variable's value, whole. Without a version it is `SSM_Current`, which is also what Secrets Manager calls the
 * version of a secret that was made without naming one.
 *
 * Beside what is secret these are certificates, which are too long for the 4 KB of a function's variables.
 */
export const REFERRING_VARIABLES = [...SECRET_VARIABLES, 'CLOUD_PAY_CA', 'DATABASE_CA'] as const
export type ReferringVariable = (typeof REFERRING_VARIABLES)[number]

const isReference = (value: string | undefined): value is string => value?.startsWith('ssm:') ?? false

export const referringNames = (
  env: Env,
  names: readonly ReferringVariable[] = REFERRING_VARIABLES,
): ReferringVariable[] => names.filter((name) => isReference(env[name]))

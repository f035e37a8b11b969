import type { Env } from '../base/config'

/**
 * Variables that may hold a reference instead of their value: `ssm:NAME` or `ssm:NAME/VERSION`. The secret's text is
 * the variable's value, whole. Without a version it is `SSM_Current`, which is also what Secrets Manager calls the
 * version of a secret that was made without naming one.
 */
export const SECRET_NAMES = [
  'CLOUD_PAY_AUTHEN_KEY',
  'CLOUD_PAY_AUTHEN_KEY_ALSO_ACCEPTED',
  'CLOUD_PAY_APPS',
  'CLOUD_PAY_OTHER_MERCHANTS',
  'DATABASE_URL',
  'DATA_KEYS',
  'MERCHANT_KEYS',
  'MERCHANT_WEBHOOK_SECRET',
  'QUOTE_KEYS',
  'SESSION_KEYS',
] as const
export type SecretName = (typeof SECRET_NAMES)[number]

const isReference = (value: string | undefined): value is string => value?.startsWith('ssm:') ?? false

export const referringNames = (env: Env, names: readonly SecretName[] = SECRET_NAMES): SecretName[] =>
  names.filter((name) => isReference(env[name]))

import { HIDDEN } from '../shared/base/secrets'

/** Variables whose value nobody should read in a build log. */
const SECRET = /KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL|OTHER_MERCHANTS/

/** Replaces the values of secrets, wherever an `environment` stands; a reference to Secrets Manager is none. */
export function hideSecrets(config: unknown): void {
  if (typeof config !== 'object' || config === null) return
  for (const [key, value] of Object.entries(config)) {
    if (key === 'environment' && typeof value === 'object' && value !== null) {
      const variables = value as Record<string, unknown>
      for (const [name, text] of Object.entries(variables)) {
        const isReference = typeof text === 'string' && text.startsWith('ssm:')
        if (SECRET.test(name) && text !== null && !isReference) variables[name] = HIDDEN
      }
    } else hideSecrets(value)
  }
}

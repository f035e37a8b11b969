import { HIDDEN } from '../shared/base/secrets'
import { isSecret } from '../shared/base/secretVariables'

/** Replaces the values of secrets, wherever an `environment` stands. */
export function hideSecrets(config: unknown): void {
  if (typeof config !== 'object' || config === null) return
  for (const [key, value] of Object.entries(config)) {
    if (key === 'environment' && typeof value === 'object' && value !== null) {
      const variables = value as Record<string, string | number | boolean | null>
      for (const [name, value] of Object.entries(variables))
        if (value !== null && isSecret(name, String(value))) variables[name] = HIDDEN
    } else hideSecrets(value)
  }
}

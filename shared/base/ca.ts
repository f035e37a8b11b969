import { X509Certificate } from 'node:crypto'
import type { FaultSink } from './entries'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[0-9A-Za-z+/=\s]+-----END CERTIFICATE-----/g

/**
 * The roots to trust in the place of the built-in ones: the PEM text itself, one certificate or several, as a bundle of one
 * file can carry no other. Consoles that keep one line take it with `\n` written out.
 */
export function readCa(
  env: Record<string, string | undefined>,
  name: string,
  fault: FaultSink,
): string | undefined {
  const value = env[name]
  if (!value) return undefined
  const text = value.replaceAll('\\n', '\n')
  const certificates = text.match(CERTIFICATE) ?? []
  if (certificates.length === 0 || text.replace(CERTIFICATE, '').trim() !== '' || !certificates.every(isOne))
    fault(name, 'must be certificates in PEM, and nothing else')
  return text
}

function isOne(pem: string): boolean {
  try {
    return Boolean(new X509Certificate(pem))
  } catch {
    return false
  }
}

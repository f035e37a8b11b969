import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type Certificates = { caFile: string; certFile: string; keyFile: string }

// Our own openssl configuration, because the machine's may add extensions that clash with these. The server
// certificate names the address as an IP entry: clients that verify an IP address ignore DNS entries.
const configuration = `
[req]
prompt = no
distinguished_name = subject
[subject]
CN = overridden by -subj
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
`

/** A throwaway CA and a server certificate for 127.0.0.1 and localhost, written into an existing directory. */
export function makeCertificates(dir: string): Certificates {
  const file = (name: string) => join(dir, name)
  const config = file('openssl.cnf')
  writeFileSync(config, configuration)

  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  // Elliptic-curve keys: making one takes milliseconds, an RSA key up to a second.
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const request = ['req', '-config', config, ...newKey]
  const caFile = file('ca.pem')
  const caKey = file('ca.key')
  const certFile = file('server.pem')
  const keyFile = file('server.key')
  const signingRequest = file('server.csr')

  // Two CAs of the same name would fail with a puzzling "bad signature" instead of "unknown issuer".
  const authorityName = `/CN=Test CA ${randomBytes(4).toString('hex')}`
  const asAuthority = ['-x509', '-extensions', 'authority', '-subj', authorityName, '-days', '30']
  openssl(...request, ...asAuthority, '-keyout', caKey, '-out', caFile)

  openssl(...request, '-subj', '/CN=localhost', '-keyout', keyFile, '-out', signingRequest)
  const issuer = ['-CA', caFile, '-CAkey', caKey, '-set_serial', '1', '-days', '30']
  const extensions = ['-extfile', config, '-extensions', 'server']
  openssl('x509', '-req', '-in', signingRequest, ...issuer, ...extensions, '-out', certFile)

  // Database servers refuse a private key that others can read.
  for (const key of [caKey, keyFile]) chmodSync(key, 0o600)
  return { caFile, certFile, keyFile }
}

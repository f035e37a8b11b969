import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import forge from 'node-forge'

export type Certificates = {
  caFile: string
  certFile: string
  keyFile: string
  /** Another certificate of the same CA for the same key, as PEM. */
  issue: (wanted: Wanted) => string
}

export type Wanted = {
  names: readonly AltName[]
  notBefore: Date
  notAfter: Date
}
/** Clients that verify an IP address ignore DNS names. */
export type AltName = { ip: string } | { dns: string }

const DAY_MS = 86_400_000

/** A throwaway CA and a server certificate for 127.0.0.1 and localhost, written into an existing directory. */
export function makeCertificates(dir: string): Certificates {
  const authority = newKeys()
  const server = newKeys()
  // Two CAs of the same name would fail with a puzzling "bad signature" instead of "unknown issuer".
  const issuer = [{ name: 'commonName', value: `Test CA ${randomBytes(4).toString('hex')}` }]
  const month = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 30 * DAY_MS) }

  const certify = (
    publicKey: forge.pki.PublicKey,
    subject: forge.pki.CertificateField[],
    life: { notBefore: Date; notAfter: Date },
    extensions: object[],
  ): string => {
    const certificate = forge.pki.createCertificate()
    certificate.publicKey = publicKey
    // Positive: a first bit of 1 would make it a negative number.
    certificate.serialNumber = `01${randomBytes(8).toString('hex')}`
    certificate.validity.notBefore = life.notBefore
    certificate.validity.notAfter = life.notAfter
    certificate.setSubject(subject)
    certificate.setIssuer(issuer)
    certificate.setExtensions(extensions)
    certificate.sign(authority.privateKey, forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }
  const issue = ({ names, ...life }: Wanted) =>
    certify(server.publicKey, [{ name: 'commonName', value: 'localhost' }], life, [
      { name: 'basicConstraints', critical: true, cA: false },
      { name: 'keyUsage', critical: true, digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((one) => ('ip' in one ? { type: 7, ip: one.ip } : { type: 2, value: one.dns })),
      },
    ])

  const write = (name: string, text: string, mode = 0o644): string => {
    const file = join(dir, name)
    writeFileSync(file, text, { mode })
    return file
  }
  return {
    caFile: write(
      'ca.pem',
      certify(authority.publicKey, issuer, month, [
        { name: 'basicConstraints', critical: true, cA: true },
        { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
        { name: 'subjectKeyIdentifier' },
      ]),
    ),
    certFile: write('server.pem', issue({ names: [{ ip: '127.0.0.1' }, { dns: 'localhost' }], ...month })),
    // Database servers refuse a private key that others can read.
    keyFile: write('server.key', server.privatePem, 0o600),
    issue,
  }
}

/** Node makes the keys, in milliseconds; node-forge, which writes certificates, would take seconds. */
function newKeys() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return {
    privatePem: privateKey,
    privateKey: forge.pki.privateKeyFromPem(privateKey),
    publicKey: forge.pki.publicKeyFromPem(publicKey),
  }
}

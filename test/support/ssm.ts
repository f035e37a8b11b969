import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiFault } from './controlPlane/fault'
import { verifyTc3 } from './controlPlane/tc3'

/**
 * Secrets Manager as far as GetSecretValue goes: over real HTTP, with the signature checked by somebody who did not
 * write the signer. What it knows and how it behaves a test changes while it runs.
 */
export type Ssm = {
  url: string
  secretId: string
  secretKey: string
  token: string | undefined
  /** By `NAME/VERSION`. */
  secrets: Map<string, string | { SecretBinary: string }>
  asked: string[]
  behaviour: 'right' | 'silent' | 'hangs_up' | 'no_json' | { code: string } | { status: number }
  close(): Promise<void>
}

export async function startSsm(nowMs: () => number = Date.now): Promise<Ssm> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { headers, method = '', url: target = '' } = request
      const body = Buffer.concat(chunks)
      const { behaviour } = ssm
      const say = (answer: object) => {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ Response: { ...answer, RequestId: `r-${ssm.asked.length}` } }))
      }
      try {
        verifyTc3({ method, target, headers, body }, ssm, 'ssm', nowMs())
        if (headers['x-tc-token'] !== ssm.token) throw new ApiFault('AuthFailure.TokenFailure')
        if (headers['x-tc-action'] !== 'GetSecretValue') throw new ApiFault('InvalidAction')
        if (headers['x-tc-version'] !== '2019-09-23') throw new ApiFault('NoSuchVersion')
        if (headers['x-tc-region'] !== 'ap-guangzhou') throw new ApiFault('UnsupportedRegion')
        const { SecretName, VersionId } = JSON.parse(body.toString()) as Record<string, string>
        const key = `${SecretName}/${VersionId}`
        ssm.asked.push(key)
        if (behaviour === 'silent') return
        if (behaviour === 'hangs_up') return void request.socket.destroy()
        if (behaviour === 'no_json') return void response.end('<html>busy</html>')
        if (typeof behaviour === 'object' && 'status' in behaviour) {
          response.statusCode = behaviour.status
          return void response.end('upstream')
        }
        if (typeof behaviour === 'object') throw new ApiFault(behaviour.code)
        const secret = ssm.secrets.get(key)
        if (secret === undefined) throw new ApiFault('ResourceNotFound')
        const value = typeof secret === 'string' ? { SecretString: secret, SecretBinary: '' } : secret
        say({ SecretName, VersionId, ...value })
      } catch (error) {
        if (!(error instanceof ApiFault)) throw error
        say({ Error: { Code: error.code, Message: error.message } })
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ssm: Ssm = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    secretId: 'AKIDrole0001',
    secretKey: 'role-secret-key-0001',
    token: 'session-token-0001',
    secrets: new Map(),
    asked: [],
    behaviour: 'right',
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return ssm
}

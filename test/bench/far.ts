import { startChild } from '../support/children'
import type { Certificates } from '../support/certificates'

export type Far = { sandbox: string; wechat: string; stop(): Promise<void> }

/**
 * Cloud Pay's sandbox, of the checkout at `root`, and a stand-in for WeChat Pay, both over TLS, in a process of their
 * own.
 */
export async function startFar({ certFile, keyFile }: Certificates, root?: string): Promise<Far> {
  const child = startChild(
    `
    const { readFileSync } = require('node:fs')
    const tls = { cert: readFileSync(${JSON.stringify(certFile)}), key: readFileSync(${JSON.stringify(keyFile)}) }
    const far = await load('local/sandbox/server').startSandbox({ tls })
    const prepay = JSON.stringify({ prepay_id: 'wx23162253ca0c6e3390474a04d605d2c883' })
    const wechat = require('node:https').createServer(tls, (request, response) => {
      request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(prepay))
    })
    await new Promise((resolve) => wechat.listen(0, '127.0.0.1', resolve))
    console.log(far.baseUrl)
    console.log('https://localhost:' + wechat.address().port + '/')
    await told()`,
    root,
  )
  const [sandbox, wechat] = [await child.line(), await child.line()]
  if (sandbox === undefined || wechat === undefined) throw new Error('the sandbox does not start')
  return {
    sandbox,
    wechat,
    async stop() {
      child.say('end')
      await child.ended
    },
  }
}

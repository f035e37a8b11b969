import type { Client } from 'tencentcloud-sdk-nodejs-scf/tencentcloud/services/scf/v20180416/scf_client'
import { aliasActions } from './aliases'
import { domainActions } from './domains'
import { functionActions } from './functions'
import { invokeActions } from './invoke'
import type { Account } from './state'
import { triggerActions } from './triggers'

/** The actions of the API, by the SDK's own types. */
export type Actions = {
  [Name in Exclude<keyof Client, 'request' | 'requestOctetStream' | 'sseRequest'>]: Client[Name] extends (
    request: infer Request,
    callback?: never,
  ) => Promise<infer Answer>
    ? (request: Request) => Omit<Answer, 'RequestId'> | Promise<Omit<Answer, 'RequestId'>>
    : never
}

/** The actions the fake knows. */
export const makeActions = (account: Account) => ({
  ...functionActions(account),
  ...aliasActions(account),
  ...triggerActions(account),
  ...domainActions(account),
  ...invokeActions(account),
})

import type { Far, SandboxMerchant } from './ledger'

/**
 * What the service has to say, before the network carries it: a content, and the merchant whose key signs it. Without
 * a merchant it goes unsigned.
 */
export type Said = { content: Content; merchant: SandboxMerchant | undefined }

export type Content = {
  status: number
  description: string
  log_id: number
  internal_status: number
  /** The member named after the interface. */
  [member: string]: unknown
}

const content = (far: Far, status: number, description: string, internal_status = 0): Content => ({
  status,
  description,
  log_id: far.random(4).readUInt32BE(0),
  internal_status,
})

export const ok = (far: Far, merchant: SandboxMerchant, member: string, value: object): Said => ({
  content: { ...content(far, 0, '操作成功。'), [member]: value },
  merchant,
})

/** 3 and 101 come without a code, the other failures with one. */
export const refuse = (
  far: Far,
  merchant: SandboxMerchant | undefined,
  status: number,
  why: string,
  internal_status = 0,
): Said => ({
  content: content(far, status, why, internal_status),
  merchant: status === 101 || status === 3 ? undefined : merchant,
})

/** A well-signed request that breaks a rule. */
export const breach = (far: Far, merchant: SandboxMerchant, why: string): Said =>
  refuse(far, merchant, Number(far.switches.ruleBreach), why)

export const notFound = (far: Far, merchant: SandboxMerchant): Said =>
  refuse(far, merchant, Number(far.switches.notFoundStatus), 'order not found', 400)

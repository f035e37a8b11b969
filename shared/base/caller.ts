/** What a merchant's key may be for. `admin` opens doors of its own and includes none of the others. */
export const SCOPES = ['create', 'read', 'close', 'refund', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** The names under which a payer's id is sent to Cloud Pay. */
export const PAYER_FIELDS = ['open_id', 'sub_open_id', 'user_id'] as const
export type PayerField = (typeof PAYER_FIELDS)[number]

/** Where a payer comes from: decides how a code is exchanged and how can be paid. */
export const APP_KINDS = ['mini_program', 'official_account', 'alipay'] as const
export type AppKind = (typeof APP_KINDS)[number]

/** Who somebody is, on the word of WeChat or Alipay. */
export type Payer = {
  field: PayerField
  id: string
  app_id: string
  app_kind: AppKind
  /** The session, as it can be ended. */
  session: string
}

/**
 * Who is calling. `merchant`: the merchant's own server or clerk. `payer`: a person's mini-program or page, which
 * retries on its own and so must name what it repeats.
 */
export type Caller = {
  /** Orders and Idempotency-Keys are kept under it. */
  id: string
  kind: 'merchant' | 'payer'
  /** For merchants. Left out, by a door-keeper of your own: all of them. */
  scopes?: readonly Scope[]
  /** The one sub-merchant this caller belongs to. Left out, by a door-keeper of your own: told apart by `id` alone. */
  out_sub_mch_id?: string
  /** The name of the merchant's key that signed: which person or server it was. */
  key?: string
  /** For payers who have logged in. */
  payer?: Payer
}

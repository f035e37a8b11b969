/** What `GET /_console/timeline` on the sandbox's port answers. Empty while there is no order yet. */
export type Timeline = {
  /** The row as it is stored. */
  order: Record<string, unknown> | null
  /** `at` in seconds. */
  events: { at: number; kind: string; from_state: string | null; to_state: string; detail: unknown }[]
  refunds: Record<string, unknown>[]
  /** Pages and the shop → functions. */
  served: { at: number; method: string; path: string; body: string; status: number; answer: string }[]
  /** Functions → Cloud Pay. */
  exchanged: { at: number; interface: string; request: string; answer: string }[]
  /** Cloud Pay → functions. `forged`: the console's own doing. */
  notified: { at: number; url: string; body: string; status?: number; error?: string; forged?: boolean }[]
  ledger: { state: string; paid_fen: number; refunded_fen: number } | null
  notifications: string
}

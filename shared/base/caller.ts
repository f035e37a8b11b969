/**
 * Who is calling. `merchant`: the merchant's own server or clerk. `payer`: a person's mini-program or page, which
 * retries on its own and so must name what it repeats.
 */
export type Caller = { id: string; kind: 'merchant' | 'payer' }

/** A prepay id lives two hours; a longer order could be paid by nobody. */
export const ORDER_LIFE_MAX_S = 7200
/** Shorter, and the payer would be racing the 60 s in which nothing is asked again. */
export const ORDER_LIFE_MIN_S = 120
export const SESSION_LIFE_MAX_S = 7200

type WholeNumber = { fallback: number; min: number; max: number }

/** The whole numbers of the configuration: what each is when it is left out, and the least and the most it may be. */
export const NUMBERS = {
  CLOUD_PAY_TIMEOUT_MS: { fallback: 6000, min: 500, max: 30_000 },
  CLOUD_PAY_PER_MINUTE: { fallback: 600, min: 1, max: 100_000 },
  ORDER_LIFE_SECONDS: { fallback: 900, min: ORDER_LIFE_MIN_S, max: ORDER_LIFE_MAX_S },
  CLOSE_NOT_BEFORE: { fallback: 300, min: 0, max: ORDER_LIFE_MAX_S },
  SESSION_LIFE_SECONDS: { fallback: SESSION_LIFE_MAX_S, min: 60, max: SESSION_LIFE_MAX_S },
  RETENTION_DAYS: { fallback: 30, min: 1, max: 3650 },
  ORDER_MAX_FEN: { fallback: 5_000_000, min: 1, max: 999_999_999 },
  REFUND_HOUR_MAX_FEN: { fallback: 2_000_000, min: 0, max: 999_999_999 },
  REFUND_DAY_MAX_FEN: { fallback: 10_000_000, min: 0, max: 999_999_999 },
  PAYER_OPEN_ORDERS_MAX: { fallback: 10, min: 1, max: 10_000 },
  PAYER_ORDERS_PER_MINUTE: { fallback: 10, min: 1, max: 10_000 },
  PAYER_ORDERS_PER_DAY: { fallback: 100, min: 1, max: 1_000_000 },
  PAYER_LOOKS_PER_MINUTE: { fallback: 60, min: 1, max: 10_000 },
  PAYER_REFUNDS_PER_DAY: { fallback: 20, min: 0, max: 1_000_000 },
  MERCHANT_ORDERS_PER_MINUTE: { fallback: 600, min: 1, max: 1_000_000 },
  MERCHANT_LOOKS_PER_MINUTE: { fallback: 600, min: 1, max: 1_000_000 },
  MERCHANT_REFUNDS_PER_DAY: { fallback: 1000, min: 0, max: 1_000_000 },
  LOGINS_PER_ADDRESS: { fallback: 30, min: 1, max: 100_000 },
  LOGINS_PER_MINUTE: { fallback: 1200, min: 1, max: 1_000_000 },
} as const satisfies Record<string, WholeNumber>

export type NumberName = keyof typeof NUMBERS

/** Reads one of them. Calls `fault` when it is no whole number within its limits; what is returned then is of no use. */
export function wholeNumber(
  env: Readonly<Record<string, string | undefined>>,
  name: NumberName,
  fault: (name: string, why: string) => void,
): number {
  const { fallback, min, max } = NUMBERS[name]
  const value = env[name]
  if (value === undefined || value === '') return fallback
  const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN
  if (!(number >= min && number <= max)) fault(name, `must be a whole number from ${min} to ${max}`)
  return number
}

/** Money on a page: integer fen inside, yuan as people write it outside, by the digits and never as a fraction. */

/** 1880 → `18.80`. */
export function yuan(fen: number): string {
  const digits = String(fen).padStart(3, '0')
  return `${digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ',')}.${digits.slice(-2)}`
}

/** `18.8` → 1880; nothing for what is no amount of at least one fen: commas, signs, a third decimal. */
export function readYuan(text: string): number | undefined {
  const [, whole, part = ''] = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(text.trim()) ?? []
  if (whole === undefined) return undefined
  return Number(whole + part.padEnd(2, '0')) || undefined
}

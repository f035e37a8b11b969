/** Runs that once found something, played first for ever after. Each with what it found. */
export const SEEDS: readonly { seed: number; found: string }[] = []

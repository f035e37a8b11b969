import { randomInt } from 'node:crypto'
import * as fc from 'fast-check'

/** Long runs take minutes; their own report says more than a timeout of Jest's would. */
jest.setTimeout(30 * 60_000)

/**
 * Checks a fast-check property, PROPERTY_RUNS times (default 1000), the examples first: what has to be met is among those,
 * because chance promises nothing. The seed is printed first, so that a run that
 * was killed can be replayed as well as one that failed: `PROPERTY_SEED=… npx jest …`.
 */
export async function holds<Ts>(
  property: fc.IRawProperty<Ts>,
  runs = propertyRuns(),
  examples: Ts[] = [],
): Promise<void> {
  const seed = propertySeed()
  const name = expect.getState().currentTestName ?? 'property'
  process.stdout.write(`PROPERTY_SEED=${seed} PROPERTY_RUNS=${runs}  ${name}\n`)
  await fc.assert(property, { numRuns: Math.max(runs, examples.length), seed, examples })
}

/** For properties that draw on their own. */
export const propertySeed = (): number => wholeNumber('PROPERTY_SEED') ?? randomInt(2 ** 31)

export const propertyRuns = (): number => wholeNumber('PROPERTY_RUNS') ?? 1000

function wholeNumber(name: string): number | undefined {
  const value = process.env[name]
  if (value === undefined || value === '') return undefined
  if (!/^-?\d{1,10}$/.test(value)) throw new Error(`${name} must be a whole number`)
  return Number(value)
}

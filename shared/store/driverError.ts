/** What drivers add to an error: the statement with its values in it, or the row that was refused. */
const QUOTING = ['sql', 'parameters', 'detail', 'where', 'internalQuery']

/** Code and message stay; what quotes a row, and so a payer, goes before anybody can write it down. */
export function withoutValues(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  for (const name of QUOTING) delete (error as unknown as Record<string, unknown>)[name]
  return error
}

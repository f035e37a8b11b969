const AT_ONCE = 4

/**
 * Due messages one by one, several at once, until none is left or `hasTime` says no. Each sighting once: who could not
 * be claimed is left to whoever has it, or to the next run. Throws what `work` threw, after all have ended.
 */
export async function workOff<Due extends Sighting>(
  first: Due[],
  list: () => Promise<Due[]>,
  hasTime: () => boolean,
  work: (message: Due) => Promise<void>,
): Promise<void> {
  const next = queue(first, list)
  const worker = async () => {
    while (hasTime()) {
      const message = await next()
      if (!message) return
      await work(message)
    }
  }
  // Whoever fails (the database, that is) must not leave the others' attempts unwritten.
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

type Sighting = { id: string; next_due_at_ms: number }

function queue<Due extends Sighting>(
  first: Due[],
  list: () => Promise<Due[]>,
): () => Promise<Due | undefined> {
  const key = ({ id, next_due_at_ms }: Sighting) => `${next_due_at_ms} ${id}`
  const seen = new Set(first.map(key))
  let waiting = first
  let filling: Promise<void> | undefined
  const fill = async () => {
    waiting = (await list()).filter((message) => !seen.has(key(message)))
    for (const message of waiting) seen.add(key(message))
  }
  return async () => {
    if (waiting.length === 0) await (filling ??= fill().finally(() => (filling = undefined)))
    return waiting.shift()
  }
}

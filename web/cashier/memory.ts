/**
 * What outlives a reload, in this tab only and until it is closed:
 *
 *   cashier.login    while the browser is away for a code: the secret whose hash the `state` was made for, and what
 *                    was to be paid
 *   cashier.session  the token and the secret that go with every call, and the app they are for
 *   cashier.orders   per purchase: the Idempotency-Key, the order's number, and whether a wallet was opened for it
 */
export type Memory = {
  login: Slot<{ secret: string; fragment: string }>
  session: Slot<{ app_id: string; token: string; secret: string; untilMs: number }>
  orders: Slot<Record<string, KeptOrder>>
}

export type KeptOrder = { key: string; number?: string; handedOver?: boolean }

type Slot<T> = { read(): T | undefined; write(value: T): void; forget(): void }

export const openMemory = (storage: Storage): Memory => ({
  login: slot(storage, 'cashier.login'),
  session: slot(storage, 'cashier.session'),
  orders: slot(storage, 'cashier.orders'),
})

function slot<T>(storage: Storage, name: string): Slot<T> {
  return {
    read() {
      const text = storage.getItem(name)
      return text === null ? undefined : (JSON.parse(text) as T)
    },
    write: (value) => storage.setItem(name, JSON.stringify(value)),
    forget: () => storage.removeItem(name),
  }
}

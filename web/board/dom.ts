/** Everything on the page is made here, of elements and text: nothing a server said is ever read as markup. */
export const at = (id: string): HTMLElement => document.getElementById(id)!
export const input = (id: string): HTMLInputElement => at(id) as HTMLInputElement
export const button = (id: string): HTMLButtonElement => at(id) as HTMLButtonElement
export const dialog = (id: string): HTMLDialogElement => at(id) as HTMLDialogElement

/** Written only when it changes: a screen reader reads what is written. */
export function say(id: string, text: string): void {
  const element = at(id)
  if (element.textContent !== text) element.textContent = text
}

export function make(tag: string, name = '', ...inside: (Node | string)[]): HTMLElement {
  const element = document.createElement(tag)
  if (name) element.className = name
  element.append(...inside)
  return element
}

/** Pairs of a `dl`. */
export const facts = (pairs: readonly (readonly [string, string])[]): HTMLElement[] =>
  pairs.map(([name, value]) => make('div', '', make('dt', '', name), make('dd', '', value)))

/**
 * Makes `host` hold these items in this order. An item that is as it was keeps its element, and with it what a person
 * is doing there; where the focus was inside a changed one it is in the new one again.
 */
export function fill<Item>(
  host: HTMLElement,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  draw: (item: Item) => HTMLElement,
): void {
  const known = new Map(Array.from(host.children, (child) => [(child as HTMLElement).dataset['key'], child]))
  items.forEach((item, index) => {
    const key = keyOf(item)
    const text = JSON.stringify(item)
    let element = known.get(key) as HTMLElement | undefined
    known.delete(key)
    const focused = element?.contains(document.activeElement)
    if (element?.dataset['text'] !== text) {
      const fresh = draw(item)
      fresh.dataset['key'] = key
      fresh.dataset['text'] = text
      element?.replaceWith(fresh)
      element = fresh
    }
    if (host.children[index] !== element) host.insertBefore(element, host.children[index] ?? null)
    if (focused && !element.contains(document.activeElement)) element.querySelector('button')?.focus()
  })
  for (const gone of known.values()) gone.remove()
}

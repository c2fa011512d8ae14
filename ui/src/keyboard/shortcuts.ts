import { onScopeDispose } from 'vue'

/** One key, or two in a row such as `g r`. */
export interface Shortcut {
  keys: string
  run: () => void
}

/** Time in which the second of two keys must come. */
const PAIR_MS = 1200

const layers: Shortcut[][] = []
let first: { key: string; at: number } | undefined

/** Offers shortcuts while the calling component lives; the newest layer is asked first. */
export function useShortcuts(list: Shortcut[]): void {
  layers.push(list)
  onScopeDispose(() => {
    layers.splice(layers.indexOf(list), 1)
  })
}

/** Hears the keys of the whole page. */
export function listen(target: Window): void {
  target.addEventListener('keydown', (event) => {
    if (hear(event, Date.now())) event.preventDefault()
  })
}

/** Takes one key; says whether a shortcut was meant. */
export function hear(event: KeyboardEvent, at: number): boolean {
  if (event.isComposing || event.altKey) return false
  if (event.ctrlKey || event.metaKey) return run(`mod+${event.key.toLowerCase()}`)
  if (isTyping(event.target) || isInDialog(event.target)) return false
  const pair = first !== undefined && at - first.at < PAIR_MS ? `${first.key} ${event.key}` : undefined
  first = undefined
  if (pair !== undefined && run(pair)) return true
  if (run(event.key)) return true
  if (layers.some((layer) => layer.some(({ keys }) => keys.startsWith(`${event.key} `)))) {
    first = { key: event.key, at }
  }
  return false
}

function run(keys: string): boolean {
  for (const layer of layers.toReversed()) {
    const meant = layer.find((shortcut) => shortcut.keys === keys)
    if (meant !== undefined) {
      meant.run()
      return true
    }
  }
  return false
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

function isInDialog(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('[role="dialog"], [role="alertdialog"]') !== null
}

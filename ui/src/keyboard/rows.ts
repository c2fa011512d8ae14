import { useShortcuts } from './shortcuts'

/** `j` and `k` go down and up through the links marked `data-row`, while the calling screen lives. */
export function useRowKeys(): void {
  useShortcuts([
    { keys: 'j', run: () => step(1) },
    { keys: 'k', run: () => step(-1) },
  ])
}

function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>('[data-row]')]
  const at = links.findIndex((link) => link === document.activeElement)
  links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))]?.focus()
}

import { reactive } from 'vue'

export interface Crumb {
  text: string
  to?: string
}

/** What stands above the page; each screen sets it, and with it the title of the window. */
export const crumbs = reactive<{ list: Crumb[] }>({ list: [] })

/** Sets the way to this screen, outermost first. */
export function showWay(...list: Crumb[]): void {
  crumbs.list = list
  const words = list.map((crumb) => crumb.text).toReversed()
  document.title = [...words, 'codex-k8s'].join(' · ')
}

import { watch, type Ref } from 'vue'

/** Gives the focus back when a dialog closes: to what had it before, or to the page's content where that is gone. For `close-auto-focus`. */
export function useFocusBack(open: Readonly<Ref<boolean>>): (event: Event) => void {
  let before: Element | null = null
  watch(
    open,
    (now) => {
      if (now) before = document.activeElement
    },
    { immediate: true },
  )
  return (event) => {
    // The library knows only of triggers of its own.
    event.preventDefault()
    setTimeout(() => {
      // Whoever was taken elsewhere meanwhile stays there.
      if (document.activeElement !== null && document.activeElement !== document.body) return
      const back = before instanceof HTMLElement && before !== document.body && before.isConnected ? before : document.getElementById('main')
      back?.focus()
    })
  }
}

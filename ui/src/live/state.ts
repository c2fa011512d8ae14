import { reactive } from 'vue'

/** While a stream flows, what it tells of is asked again this seldom: for what nobody tells. */
const SELDOM_MS = 30_000

/** Whether the page is told what changes. */
export const live = reactive<{ flows: boolean; heardAt: number; cutAt: number }>({ flows: false, heardAt: 0, cutAt: 0 })

/** How often to ask: seldom while the page is told, else as given. */
export function unlessLive(everyMs: number): () => number {
  return () => (live.flows ? SELDOM_MS : everyMs)
}

/** The log of an attempt goes on. */
export interface LogNews {
  run: string
  attempt: number
  next: number
}

type Waiting = (news: LogNews | undefined) => boolean

const waiting = new Set<Waiting>()

/** Tells whoever reads a log; without words, that something about the run has changed. */
export function tellLog(news: LogNews | undefined): void {
  for (const wake of [...waiting]) if (wake(news)) waiting.delete(wake)
}

/** Waits until a log goes on at `from`, or something else changes, or for so long at most. */
export function logGoesOn(run: string, attempt: number, from: number, mostMs: number): Promise<void> {
  return new Promise((resolve) => {
    const wake: Waiting = (news) => {
      if (news && (news.run !== run || news.attempt < attempt || (news.attempt === attempt && news.next <= from))) return false
      done()
      return true
    }
    const timer = setTimeout(done, mostMs)
    function done(): void {
      clearTimeout(timer)
      waiting.delete(wake)
      resolve()
    }
    waiting.add(wake)
  })
}

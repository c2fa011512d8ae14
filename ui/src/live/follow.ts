import { useQueryClient, type Query } from '@tanstack/vue-query'
import { onScopeDispose, ref, watch, type Ref } from 'vue'
import { answer, api } from '@/api/client'
import { live, tellLog } from './state'
import { LiveStream, type Word } from './stream'

/** Lists are asked again at most this often, however much happens. */
const LISTS_MS = 400
/** A page that nobody looks at gives its connection back after this: a browser has few for each host. */
const HIDDEN_MS = 5000

/** What a query shows, so that it is asked again when that has changed. */
export type Shows = 'runs' | 'run' | 'deliveries'

const shows = (query: Query, what: Shows) => query.meta?.live === what

/** Keeps the one stream of the page, about this run or about everything, and has queries asked again that it tells of. */
export function useLive(run: Readonly<Ref<string | undefined>>): void {
  const queries = useQueryClient()
  const hidden = ref(false)
  let stream: LiveStream | undefined
  let listTimer: ReturnType<typeof setTimeout> | undefined
  let hideTimer: ReturnType<typeof setTimeout> | undefined
  const due = new Set<Shows>()

  function ask(predicate: (query: Query) => boolean): void {
    void queries.invalidateQueries({ predicate, refetchType: 'active' }, { cancelRefetch: false })
  }

  function askLists(what: Shows): void {
    due.add(what)
    listTimer ??= setTimeout(() => {
      const wanted = [...due]
      due.clear()
      listTimer = undefined
      ask((query) => wanted.some((one) => shows(query, one)))
    }, LISTS_MS)
  }

  function told(word: Word): void {
    live.heardAt = Date.now()
    switch (word.kind) {
      case 'ready':
      case 'reload':
        ask((query) => query.meta?.live !== undefined)
        tellLog(undefined)
        break
      case 'runs':
        ask((query) => shows(query, 'run') && word.runs.includes(String(query.queryKey[1])))
        if (run.value === undefined) askLists('runs')
        else tellLog(undefined)
        break
      case 'deliveries':
        askLists('deliveries')
        break
      case 'log':
        if (run.value !== undefined) tellLog({ run: run.value, attempt: word.attempt, next: word.next })
        break
      case 'over':
        // What may no longer be seen says so when it is asked for.
        if (word.why === 'unseen') ask((query) => query.meta?.live !== undefined)
        break
      case 'tick':
        break
    }
  }

  function flows(now: boolean): void {
    if (live.flows && !now) live.cutAt = Date.now()
    live.flows = now
  }

  function open(): void {
    stream?.close()
    const url = run.value === undefined ? '/api/v1/live' : `/api/v1/live?run=${encodeURIComponent(run.value)}`
    stream = new LiveStream({
      url,
      told,
      flows,
      open: (address) => new EventSource(address),
      knock: () => answer(api.GET('/api/v1/me')),
    })
  }

  function looked(): void {
    clearTimeout(hideTimer)
    if (document.visibilityState === 'visible') hidden.value = false
    else hideTimer = setTimeout(() => (hidden.value = true), HIDDEN_MS)
  }

  watch(
    [run, hidden],
    () => {
      if (!hidden.value) open()
      else {
        stream?.close()
        flows(false)
      }
    },
    { immediate: true },
  )
  document.addEventListener('visibilitychange', looked)
  onScopeDispose(() => {
    document.removeEventListener('visibilitychange', looked)
    clearTimeout(hideTimer)
    clearTimeout(listTimer)
    stream?.close()
    flows(false)
  })
}

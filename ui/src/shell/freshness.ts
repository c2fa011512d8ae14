import { useQueryClient } from '@tanstack/vue-query'
import { computed, onScopeDispose, ref } from 'vue'
import { live } from '@/live/state'
import { useNow } from '@/parts/clock'

/** After this long without an answer, what is on screen may be old news. */
export const STALE_AFTER_MS = 15_000

/** After this long with the stream cut and no answer either, it is. */
export const CUT_AFTER_MS = 4000

export type Freshness = { state: 'live' } | { state: 'stale'; since: number }

interface Watched {
  isActive: () => boolean
  state: { dataUpdatedAt: number; errorUpdatedAt: number; status: string; fetchStatus: string }
  options: { refetchInterval?: unknown }
  meta?: Record<string, unknown> | undefined
}

/** What the stream of the page says of itself. */
export interface Stream {
  flows: boolean
  heardAt: number
}

/** Of the queries that the page keeps fresh, the one that has waited longest decides. What the stream tells of is as fresh as it. */
export function judge(queries: readonly Watched[], now: number, stream?: Stream): Freshness | undefined {
  const kept = queries.filter((query) => query.isActive() && query.state.dataUpdatedAt > 0 && keepsFresh(query))
  if (kept.length === 0) return undefined
  const told = (query: Watched) => stream !== undefined && stream.heardAt > 0 && query.meta?.live !== undefined
  const heard = (query: Watched) => (told(query) ? Math.max(query.state.dataUpdatedAt, stream?.heardAt ?? 0) : query.state.dataUpdatedAt)
  const oldest = Math.min(...kept.map(heard))
  const cut = stream?.flows === false && kept.some(told)
  return now - oldest > (cut ? CUT_AFTER_MS : STALE_AFTER_MS) ? { state: 'stale', since: oldest } : { state: 'live' }
}

function keepsFresh(query: Watched): boolean {
  return query.options.refetchInterval !== undefined && query.options.refetchInterval !== false
}

/** Whether what is on screen is of now. Nothing on pages that never change by themselves. */
export function useFreshness() {
  const cache = useQueryClient().getQueryCache()
  const now = useNow()
  const changes = ref(0)
  onScopeDispose(cache.subscribe(() => changes.value++))
  return computed(() => (void changes.value, judge(cache.getAll() as unknown as Watched[], now.value, live)))
}

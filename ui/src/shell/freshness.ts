import { useQueryClient } from '@tanstack/vue-query'
import { computed, onScopeDispose, ref } from 'vue'
import { useNow } from '@/parts/clock'

/** After this long without an answer, what is on screen may be old news. */
export const STALE_AFTER_MS = 15_000

export type Freshness = { state: 'live' } | { state: 'stale'; since: number }

interface Watched {
  isActive: () => boolean
  state: { dataUpdatedAt: number; errorUpdatedAt: number; status: string; fetchStatus: string }
  options: { refetchInterval?: unknown }
}

/** Of the queries that the page keeps fresh, the one that has waited longest decides. */
export function judge(queries: readonly Watched[], now: number): Freshness | undefined {
  const kept = queries.filter((query) => query.isActive() && query.state.dataUpdatedAt > 0 && keepsFresh(query))
  if (kept.length === 0) return undefined
  const oldest = Math.min(...kept.map((query) => query.state.dataUpdatedAt))
  return now - oldest > STALE_AFTER_MS ? { state: 'stale', since: oldest } : { state: 'live' }
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
  return computed(() => (void changes.value, judge(cache.getAll() as unknown as Watched[], now.value)))
}

import { useInfiniteQuery } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, type Ref, toValue } from 'vue'
import type { Shows } from '@/live/follow'
import { unlessLive } from '@/live/state'

/** A list as it is on screen. */
export interface Pages<T> {
  items: Readonly<Ref<T[] | undefined>>
  error: Readonly<Ref<unknown>>
  more: Readonly<Ref<boolean>>
  busy: Readonly<Ref<boolean>>
  /** Ends when the next page is there. */
  fetchMore: () => Promise<void>
  again: () => void
}

interface Page<T> {
  items: T[]
  next?: string | null
}

/** A list that the gateway gives page by page; more is fetched when it is asked for. */
export function usePages<T>(key: MaybeRefOrGetter<readonly unknown[]>, fetchPage: (cursor: string | undefined) => Promise<Page<T>>, everyMs = 10_000, shows?: Shows): Pages<T> {
  const query = useInfiniteQuery({
    queryKey: computed(() => toValue(key)),
    queryFn: ({ pageParam }) => fetchPage(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    // Others change these lists, too.
    refetchInterval: shows === undefined ? everyMs : unlessLive(everyMs),
    ...(shows !== undefined && { meta: { live: shows } }),
    placeholderData: (before) => before,
  })
  const items = computed(() => query.data.value?.pages.flatMap((page) => page.items))
  return {
    items,
    error: query.error,
    more: query.hasNextPage,
    busy: query.isFetchingNextPage,
    fetchMore: async () => void (await query.fetchNextPage()),
    again: () => void query.refetch(),
  }
}

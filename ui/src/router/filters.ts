import { computed, type WritableComputedRef } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'

/** The texts of a query, by name; what is empty is absent. */
export function readQuery<Name extends string>(query: LocationQuery, names: readonly Name[]): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value = query[name]
    const text = Array.isArray(value) ? value[0] : value
    if (text) found[name] = text
  }
  return found
}

/** Sets texts of a query and leaves the others alone; an empty text takes its name out. */
export function writeQuery(query: LocationQuery, change: Record<string, string | undefined>): LocationQuery {
  const next = { ...query }
  for (const [name, text] of Object.entries(change)) {
    if (text) next[name] = text
    else Reflect.deleteProperty(next, name)
  }
  return next
}

/** A day of the address as the moment at which it begins here; what is no day is left out. */
export function day(text: string | undefined): string | undefined {
  // A date alone would be taken for midnight of UTC.
  const begins = new Date(`${text ?? ''}T00:00`)
  return Number.isNaN(begins.getTime()) ? undefined : begins.toISOString()
}

/** Filters that live in the address, so that a list can be sent to somebody else as it is. */
export function useFilters<Name extends string>(names: readonly Name[]) {
  const route = useRoute()
  const router = useRouter()
  const values = computed(() => readQuery(route.query, names))
  function set(change: Partial<Record<Name, string | undefined>>): void {
    // Each letter of a search is not a place to come back to.
    void router.replace({ query: writeQuery(route.query, change as Record<string, string | undefined>) })
  }
  function field(name: Name): WritableComputedRef<string> {
    return computed({
      get: () => values.value[name] ?? '',
      set: (text) => set({ [name]: text } as Partial<Record<Name, string>>),
    })
  }
  const any = computed(() => Object.keys(values.value).length > 0)
  return { values, any, set, field, clear: () => set(Object.fromEntries(names.map((name) => [name, undefined])) as never) }
}

import { useQuery } from '@tanstack/vue-query'
import { answer, api } from '@/api/client'

/** The projects that the person sees, to choose from. */
export function useProjects() {
  return useQuery({
    queryKey: ['projects', 'names'],
    queryFn: () => answer(api.GET('/api/v1/projects', { params: { query: { limit: 200 } } })),
    staleTime: 60_000,
  })
}

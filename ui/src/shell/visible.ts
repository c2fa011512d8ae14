import { computed } from 'vue'
import { useSession } from '@/session/store'
import { places } from './places'

/** The places that the person who is signed in may go to. */
export function usePlaces() {
  const session = useSession()
  return computed(() => places.filter((place) => place.needs === undefined || session.isAdmin))
}

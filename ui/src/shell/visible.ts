import { computed } from 'vue'
import { useRouter } from 'vue-router'
import { useSession } from '@/session/store'
import { places, type Place } from './places'

/** The places that the person who is signed in may go to. */
export function usePlaces() {
  const session = useSession()
  const may = { admin: () => session.isAdmin, engine: () => session.engine !== undefined }
  return computed(() => places.filter((place) => place.needs === undefined || may[place.needs]()))
}

/** Goes to a place. */
export function useWay() {
  const router = useRouter()
  return (place: Place): void => {
    if (place.outside) window.location.assign(place.path)
    else void router.push(place.path)
  }
}

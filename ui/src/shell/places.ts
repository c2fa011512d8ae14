import type { IconName } from '@/parts/icons'
import type { Messages } from '@/i18n/en'

/** A place that the navigation, the palette and the keys lead to. */
export interface Place {
  name: keyof Messages['places']
  path: string
  icon: IconName
  /** Typed after `g`. */
  key: string
  /** Who sees it; everybody without. */
  needs?: 'admin' | 'engine'
  /** A page of the gateway's that is none of this program. */
  outside?: true
}

/** In the order of the navigation. A place is here when its screen is. */
export const places: readonly Place[] = [
  { name: 'home', path: '/', icon: 'home', key: 'h' },
  { name: 'runs', path: '/runs', icon: 'runs', key: 'r' },
  { name: 'deliveries', path: '/deliveries', icon: 'deliveries', key: 'd' },
  { name: 'projects', path: '/projects', icon: 'projects', key: 'p' },
  { name: 'repositories', path: '/repositories', icon: 'repositories', key: 'o' },
  { name: 'agents', path: '/agents', icon: 'agents', key: 'n' },
  { name: 'people', path: '/people', icon: 'people', key: 'e', needs: 'admin' },
  { name: 'audit', path: '/audit', icon: 'audit', key: 'a' },
  { name: 'engine', path: '/ops/temporal/', icon: 'engine', key: 't', needs: 'engine', outside: true },
  { name: 'settings', path: '/settings', icon: 'settings', key: 's', needs: 'admin' },
  { name: 'profile', path: '/profile', icon: 'profile', key: 'm' },
]

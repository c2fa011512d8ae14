import type { components } from '@/api/schema'

/** What a member may do, from most to least. */
export const projectRoles = ['admin', 'write', 'read'] as const satisfies components['schemas']['ProjectRole'][]

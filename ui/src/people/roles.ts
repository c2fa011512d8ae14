import type { components } from '@/api/schema'

/** What a person may do with the platform itself, from least to most. */
export const platformRoles = ['none', 'admin', 'owner'] as const satisfies components['schemas']['PlatformRole'][]

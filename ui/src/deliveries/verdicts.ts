import type { components } from '@/api/schema'
import type { IconName } from '@/parts/icons'

type Verdict = components['schemas']['VerdictKind']

export const verdicts = [
  'started',
  'signalled',
  'duplicate',
  'no_rule',
  'repository_unknown',
  'loop_guard',
  'two_agent_labels',
  'already_working',
  'archived',
  'echo',
  'cancelled_before_start',
  'nothing_to_cancel',
  'nothing_to_retry',
  'config_refresh',
  'repository_updated',
  'paused',
  'ignored',
] as const satisfies Verdict[]

const HELD_BACK: readonly Verdict[] = ['repository_unknown', 'loop_guard', 'two_agent_labels', 'already_working', 'archived', 'nothing_to_retry', 'nothing_to_cancel', 'paused']

/** What did something, what was held back, and what was nothing to begin with. */
export function verdictLook(verdict: Verdict): { tone: 'good' | 'warn' | 'plain'; icon: IconName | undefined } {
  if (verdict === 'started' || verdict === 'signalled') return { tone: 'good', icon: 'check' }
  return HELD_BACK.includes(verdict) ? { tone: 'warn', icon: 'alert' } : { tone: 'plain', icon: undefined }
}

/** `issues.labeled`, as GitHub writes it. */
export function eventOf(delivery: { event: string; action?: string | null }): string {
  return delivery.action ? `${delivery.event}.${delivery.action}` : delivery.event
}

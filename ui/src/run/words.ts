import type { components } from '@/api/schema'
import { inWords } from '@/i18n/sentences'
import type { IconName } from '@/parts/icons'

type Schemas = components['schemas']
export type Run = Schemas['Run']
export type RunDetail = Schemas['RunDetail']
export type RunAttempt = Schemas['RunAttempt']
export type Outcome = Schemas['Outcome']
export type RunState = Schemas['RunState']

export const states = ['queued', 'waiting', 'working', 'finished'] as const satisfies RunState[]
export const outcomes = [
  'pull_request_open',
  'review_posted',
  'answer_posted',
  'no_change',
  'checks_failed',
  'setup_failed',
  'refused',
  'budget_spent',
  'cancelled',
  'lost',
  'failed',
] as const satisfies Outcome[]
/** In their order. */
export const steps = [
  'authorise',
  'slot',
  'clone',
  'prompt',
  'launch',
  'agent',
  'collect',
  'publish',
  'settle',
] as const satisfies Schemas['Step'][]

const GOOD = ['pull_request_open', 'review_posted', 'answer_posted', 'no_change'] as const
export type Failure = Exclude<Outcome, (typeof GOOD)[number]>

/** The outcome, if it is not what was asked for. */
export function failureOf(outcome: Outcome | null | undefined): Failure | undefined {
  return outcome && !(GOOD as readonly Outcome[]).includes(outcome) ? (outcome as Failure) : undefined
}

/** How a run's state looks, and the key of its words. */
export function look(run: Pick<Run, 'state' | 'outcome'>): {
  tone: 'good' | 'warn' | 'bad' | 'live' | 'plain'
  icon: IconName
  words: `outcome.${Outcome}` | `run_state.${RunState}`
} {
  if (run.state === 'finished' && run.outcome) {
    const words = `outcome.${run.outcome}` as const
    if (!failureOf(run.outcome)) return { tone: 'good', icon: 'check', words }
    if (run.outcome === 'cancelled') return { tone: 'plain', icon: 'stop', words }
    return { tone: 'bad', icon: 'alert', words }
  }
  const words = `run_state.${run.state}` as const
  if (run.state === 'working') return { tone: 'live', icon: 'play', words }
  return { tone: run.state === 'finished' ? 'plain' : 'warn', icon: 'clock', words }
}

/** The lines that matter about how an attempt failed: of the check that failed, else of the step. */
export function failureLines(attempt: RunAttempt): { number: number; text: string }[] {
  const check = attempt.checks.find((result) => !result.passed)
  const step = attempt.steps.findLast((row) => row.error)
  const text = check?.output_tail ?? inWords(step?.error, step?.error_coded)
  return text
    .trimEnd()
    .split('\n')
    .map((line, index) => ({ number: index + 1, text: line }))
    .filter((line, _, all) => all.length > 1 || line.text !== '')
}

/** The step in which an attempt failed, if it began one that did not end well. */
export function failedStep(attempt: RunAttempt): Schemas['Step'] | undefined {
  return attempt.steps.findLast((row) => row.state === 'failed')?.step
}

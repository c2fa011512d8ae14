import { inWords } from '@/i18n/sentences'
import type { StepState, TimelineAttempt } from '@/timeline/layout'
import type { RunAttempt } from './words'

const ms = (text: string) => new Date(text).getTime()

/** The attempts of a run as the timeline draws them. A step that nobody needed is left out. */
export function timelineOf(attempts: readonly RunAttempt[], waitingSlot: boolean): TimelineAttempt[] {
  return attempts.map((attempt) => ({
    number: attempt.attempt,
    steps: attempt.steps
      .filter((step) => step.state !== 'skipped')
      .map((step) => ({
        step: step.step,
        state: stateOf(step, waitingSlot),
        began: ms(step.started_at),
        // Of an attempt that is over nothing goes on, whatever its last row says.
        ended: step.finished_at ? ms(step.finished_at) : attempt.finished_at ? ms(attempt.finished_at) : undefined,
        tries: step.tries,
        note: inWords(step.error, step.error_coded) || undefined,
      })),
  }))
}

function stateOf(step: RunAttempt['steps'][number], waitingSlot: boolean): StepState {
  if (step.state === 'failed') return 'failed'
  if (step.state === 'done') return step.tries > 1 ? 'repeated' : 'done'
  return step.wait_until || (step.step === 'slot' && waitingSlot) ? 'waiting' : 'working'
}

export type StepState = 'done' | 'working' | 'waiting' | 'failed' | 'repeated'

/** One step of one attempt. Times are in milliseconds. */
export interface TimelineStep {
  step: string
  state: StepState
  began: number
  /** None while it goes on. */
  ended?: number | undefined
  tries: number
  note?: string | undefined
}

export interface TimelineAttempt {
  number: number
  steps: readonly TimelineStep[]
}

/** A bar in pixels. */
export interface Bar {
  attempt: number
  step: TimelineStep
  x: number
  width: number
  /** Where its words begin, and on which side of the bar they fit. */
  words: { x: number; anchor: 'start' | 'end' }
}

export interface Layout {
  rows: Bar[]
  ticks: { x: number; after: number }[]
  /** Milliseconds from the first beginning to the last end. */
  span: number
}

/** A step that took an instant is still to be seen and hit. */
export const MINIMUM_WIDTH = 6
const TICKS = 5
const ROOM_FOR_WORDS = 120

/** Puts every attempt's steps on one scale that begins with the first attempt. */
export function layout(attempts: readonly TimelineAttempt[], width: number, now: number): Layout {
  const steps = attempts.flatMap((attempt) => attempt.steps.map((step) => ({ attempt: attempt.number, step })))
  if (steps.length === 0) return { rows: [], ticks: [], span: 0 }
  const end = (step: TimelineStep) => Math.max(step.began, step.ended ?? now)
  const first = Math.min(...steps.map(({ step }) => step.began))
  const last = Math.max(...steps.map(({ step }) => end(step)))
  const span = Math.max(last - first, 1)
  const scale = (width - MINIMUM_WIDTH) / span
  const rows = steps.map(({ attempt, step }) => {
    const x = (step.began - first) * scale
    const bar = Math.max(MINIMUM_WIDTH, (end(step) - step.began) * scale)
    const fits = x + bar + ROOM_FOR_WORDS <= width
    const words = fits ? { x: x + bar + 6, anchor: 'start' as const } : { x: x - 6, anchor: 'end' as const }
    // Where it fits on neither side, it is written on the bar's own end.
    if (!fits && x < ROOM_FOR_WORDS) words.x = x + bar - 6
    return { attempt, step, x, width: bar, words }
  })
  return { rows, ticks: ticks(span, scale), span }
}

function ticks(span: number, scale: number): Layout['ticks'] {
  const size = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400]
    .map((seconds) => seconds * 1000)
    .find((milliseconds) => span / milliseconds <= TICKS) ?? span
  const list = []
  for (let after = 0; after <= span; after += size) list.push({ x: after * scale, after })
  return list
}

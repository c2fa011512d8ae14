import { expect, it } from 'vitest'
import { failedStep, failureLines, look, type RunAttempt } from './words'

const attempt = (more: Partial<RunAttempt>): RunAttempt => ({
  attempt: 1,
  job_state: 'ended',
  started_at: '2026-11-26T12:00:00Z',
  withdrawn: false,
  steps: [],
  checks: [],
  model_calls: 0,
  usage: {},
  cost: { nano_usd: 0, unpriced_calls: 0, estimated_calls: 0 },
  ...more,
})
const step = (name: 'clone' | 'agent', state: string, error?: string) => ({
  step: name,
  state,
  tries: 1,
  started_at: '2026-11-26T12:00:00Z',
  ...(error && { error }),
})

it('shows what failed: the check before the step', () => {
  const steps = [step('clone', 'failed', 'GitHub did not answer')]
  expect(failureLines(attempt({ steps }))).toEqual([{ number: 1, text: 'GitHub did not answer' }])
  const checks = [
    { name: 'lint', passed: true, output_tail: 'fine', duration_ms: 1 },
    { name: 'test', passed: false, output_tail: 'FAIL\n\nexpected 1\n', duration_ms: 1 },
  ]
  expect(failureLines(attempt({ steps, checks })).map(({ text }) => text)).toEqual(['FAIL', '', 'expected 1'])
  expect(failureLines(attempt({}))).toEqual([])
})

it('knows the step that failed', () => {
  expect(failedStep(attempt({ steps: [step('clone', 'done'), step('agent', 'failed')] }))).toBe('agent')
  expect(failedStep(attempt({ steps: [step('clone', 'done')] }))).toBeUndefined()
})

it('does not rest on colour alone', () => {
  expect(look({ state: 'finished', outcome: 'checks_failed' })).toEqual({ tone: 'bad', icon: 'alert', words: 'outcome.checks_failed' })
  expect(look({ state: 'finished', outcome: 'cancelled' }).tone).toBe('plain')
  expect(look({ state: 'working' }).words).toBe('run_state.working')
})

import { expect, it } from 'vitest'
import { timelineOf } from './timeline'

const at = (second: number) => new Date(second * 1000).toISOString()

it('draws what was done, was tried again, waits, and was not needed', () => {
  const step = (name: 'authorise' | 'slot' | 'clone' | 'agent', state: string, more = {}) => ({
    step: name,
    state,
    tries: 1,
    started_at: at(1),
    ...more,
  })
  const attempt = {
    attempt: 1,
    job_state: 'none',
    started_at: at(0),
    withdrawn: false,
    checks: [],
    model_calls: 0,
    usage: {},
    cost: { nano_usd: 0, unpriced_calls: 0, estimated_calls: 0 },
    steps: [
      step('authorise', 'done', { finished_at: at(2) }),
      step('clone', 'done', { finished_at: at(3), tries: 3 }),
      step('agent', 'skipped'),
      step('slot', 'running'),
    ],
  }
  const [drawn] = timelineOf([attempt], true)
  expect(drawn?.steps.map(({ step: name, state, ended }) => [name, state, ended])).toEqual([
    ['authorise', 'done', 2000],
    ['clone', 'repeated', 3000],
    ['slot', 'waiting', undefined],
  ])
  const [over] = timelineOf([{ ...attempt, finished_at: at(9) }], false)
  expect(over?.steps.at(-1)).toMatchObject({ state: 'working', ended: 9000 })
})

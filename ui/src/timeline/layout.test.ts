import { expect, it } from 'vitest'
import { layout, MINIMUM_WIDTH, type TimelineStep } from './layout'

function step(name: string, began: number, ended?: number): TimelineStep {
  return { step: name, state: ended === undefined ? 'working' : 'done', began, ended, tries: 1 }
}

it('shows a step that took an instant', () => {
  const { rows } = layout([{ number: 1, steps: [step('authorise', 0, 1), step('agent', 1, 600_000)] }], 806, 600_000)
  expect(rows[0]?.width).toBe(MINIMUM_WIDTH)
  expect(rows[1]?.width).toBeCloseTo(800, 0)
})

it('stacks attempts on one scale', () => {
  const attempts = [
    { number: 1, steps: [step('agent', 0, 1000)] },
    { number: 2, steps: [step('agent', 9000, 10_000)] },
  ]
  const { rows, span } = layout(attempts, 1006, 10_000)
  expect(rows.map(({ attempt, x }) => [attempt, Math.round(x)])).toEqual([
    [1, 0],
    [2, 900],
  ])
  expect(span).toBe(10_000)
})

it('lets what goes on end now, and keeps every bar inside', () => {
  const { rows } = layout([{ number: 1, steps: [step('slot', 0, 40), step('agent', 40)] }], 500, 90_000)
  for (const row of rows) expect(row.x + row.width).toBeLessThanOrEqual(500 + 1e-6)
})

it('has few ticks at any length, and nothing for nothing', () => {
  for (const span of [3, 900, 61_000, 5_000_000, 90_000_000]) {
    const { ticks } = layout([{ number: 1, steps: [step('agent', 0, span)] }], 800, span)
    expect(ticks.length).toBeGreaterThan(0)
    expect(ticks.length).toBeLessThanOrEqual(6)
  }
  expect(layout([], 800, 0)).toEqual({ rows: [], ticks: [], span: 0 })
})

import { expect, it } from 'vitest'
import { judge, STALE_AFTER_MS } from './freshness'

const query = (updated: number, more: { active?: boolean; interval?: number | false } = {}) => ({
  isActive: () => more.active ?? true,
  state: { dataUpdatedAt: updated, errorUpdatedAt: 0, status: 'success', fetchStatus: 'idle' },
  options: { refetchInterval: more.interval ?? 2000 },
})

it('is live while every kept query has had an answer lately', () => {
  expect(judge([query(100_000), query(99_000)], 101_000)).toEqual({ state: 'live' })
})

it('is stale since the oldest answer', () => {
  expect(judge([query(100_000), query(80_000)], 80_001 + STALE_AFTER_MS)).toEqual({ state: 'stale', since: 80_000 })
})

it('says nothing where nothing is kept fresh', () => {
  expect(judge([query(1, { interval: false }), query(1, { active: false }), query(0)], 900_000)).toBeUndefined()
})

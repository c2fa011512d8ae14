import { expect, it } from 'vitest'
import { CUT_AFTER_MS, judge, STALE_AFTER_MS } from './freshness'

const query = (updated: number, more: { active?: boolean; interval?: number | false; live?: string } = {}) => ({
  meta: more.live === undefined ? undefined : { live: more.live },
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

it('is as fresh as the stream that tells of it, and sooner stale once that is cut', () => {
  const told = [query(10_000, { live: 'runs' })]
  expect(judge(told, 101_000, { flows: true, heardAt: 99_000 })).toEqual({ state: 'live' })
  expect(judge(told, 99_001 + CUT_AFTER_MS, { flows: false, heardAt: 99_000 })).toEqual({ state: 'stale', since: 99_000 })
  expect(judge([query(99_000, { live: 'runs' })], 101_000, { flows: false, heardAt: 90_000 }), 'asked meanwhile').toEqual({ state: 'live' })
  expect(judge([query(10_000)], 101_000, { flows: true, heardAt: 99_000 }), 'not told of').toMatchObject({ state: 'stale' })
})

it('says nothing where nothing is kept fresh', () => {
  expect(judge([query(1, { interval: false }), query(1, { active: false }), query(0)], 900_000)).toBeUndefined()
})

import { expect, it, vi } from 'vitest'
import { day, readQuery, writeQuery } from './filters'

it('reads only what it is asked for, the first of many, and nothing empty', () => {
  const query = { status: 'working', agent: ['dev', 'ops'], text: '', other: 'x' }
  expect(readQuery(query, ['status', 'agent', 'text'] as const)).toEqual({ status: 'working', agent: 'dev' })
})

it('changes its own and leaves the rest of the address alone', () => {
  expect(writeQuery({ tab: 'log', text: 'old', status: 'lost' }, { text: 'new', status: undefined })).toEqual({
    tab: 'log',
    text: 'new',
  })
})

it('takes a day for the moment at which it begins here, and nothing else for a day', () => {
  vi.stubEnv('TZ', 'Europe/Berlin')
  expect(day('2026-11-27')).toBe('2026-11-26T23:00:00.000Z')
  expect([day(''), day(undefined), day('yesterday')]).toEqual([undefined, undefined, undefined])
})

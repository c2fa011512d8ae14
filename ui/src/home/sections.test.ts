import { expect, test } from 'vitest'
import { sections } from './sections'

const nothing = { failed: [], waiting: [], deliveries: [], hooks: [], stuck: [], storms: [], credentials: [], tokens: [] }
const say = (key: string, named: Record<string, unknown> = {}) => [key, ...Object.values(named).map(String)].join(' ')
const clock = { now: Date.parse('2026-11-26T12:00:00Z'), language: 'en' }
const about = { project: 'demo', repository: 'acme/greeter', subject: 'issue', number: 7, title: '', agent: 'dev' } as const

test('nothing to look at is no section at all', () => {
  expect(sections(nothing, say, clock)).toEqual([])
})

test('what failed comes before what waits, each with its next step', () => {
  const run = '01900000-0000-7000-8000-000000000001'
  const failed = [{ ...about, run, outcome: 'lost', cause: 'The pod was evicted.', ended_at: '2026-11-26T11:00:00Z' }] as const
  const waiting = [{ ...about, run, step: 'slot', place: 2, until: null, cause: null, since: '2026-11-26T11:00:00Z' }] as const
  const shown = sections({ ...nothing, failed: [...failed], waiting: [...waiting] }, say, clock)
  expect(shown.map((section) => section.name)).toEqual(['failed', 'waiting'])
  expect(shown[0]?.items[0]).toMatchObject({ to: `/runs/${run}`, title: '#7', where: 'acme/greeter #7 · dev', next: 'next.lost' })
  expect(shown[0]?.items[0]?.text).toBe('outcome.lost. The pod was evicted.')
  expect(shown[1]?.items[0]).toMatchObject({ text: 'home.place 2', next: 'home.step.slot' })
})

test('a credential says when it ends, or that it is no longer taken', () => {
  const credential = { project: 'demo', repository: 'acme/greeter', login: 'robot', expires_at: '2026-11-27T12:00:00Z', refused: false }
  const tokens = [{ name: 'script', expires_at: '2026-11-27T12:00:00Z' }]
  const shown = sections({ ...nothing, credentials: [credential, { ...credential, refused: true }], tokens }, say, clock)
  expect(shown[0]?.items.map((item) => item.text)).toEqual(['home.ends tomorrow', 'home.refused', 'home.ends tomorrow'])
  expect(shown[0]?.items[2]?.to).toBe('/profile')
})

test('a delivery leads to its own page', () => {
  const delivery = { delivery: '01900000-0000-7000-8000-000000000002', project: 'demo', repository: 'acme/greeter', number: 7, verdict: 'two_agent_labels', reason: 'two agents', received_at: '2026-11-26T11:00:00Z' } as const
  const shown = sections({ ...nothing, deliveries: [delivery] }, say, clock)
  expect(shown[0]?.items[0]).toMatchObject({ to: `/deliveries/${delivery.delivery}`, where: 'acme/greeter #7', next: 'home.step.two_agent_labels' })
})

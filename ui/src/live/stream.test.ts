import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LiveStream, type Source, type Word } from './stream'

class Fake implements Source {
  static opened: Fake[] = []
  onerror: ((event: Event) => void) | null = null
  closed = false
  private readonly listeners = new Map<string, (event: MessageEvent<string>) => void>()
  constructor(readonly url: string) {
    Fake.opened.push(this)
  }
  addEventListener(kind: string, run: (event: MessageEvent<string>) => void): void {
    this.listeners.set(kind, run)
  }
  close(): void {
    this.closed = true
  }
  say(kind: string, data: object, id = ''): void {
    this.listeners.get(kind)?.(new MessageEvent(kind, { data: JSON.stringify(data), lastEventId: id }))
  }
}

let words: Word[]
let flowing: boolean[]
let knocks: number
let gatewayIsThere: boolean

function stream(url = '/api/v1/live'): LiveStream {
  return new LiveStream({
    url,
    told: (word) => words.push(word),
    flows: (now) => flowing.push(now),
    open: (address) => new Fake(address),
    knock: () => {
      knocks += 1
      return gatewayIsThere ? Promise.resolve() : Promise.reject(new Error('away'))
    },
  })
}

beforeEach(() => {
  vi.useFakeTimers()
  ;[Fake.opened, words, flowing, knocks, gatewayIsThere] = [[], [], [], 0, true]
})
afterEach(() => vi.useRealTimers())

it('goes on where it was cut', async () => {
  stream('/api/v1/live?run=r')
  Fake.opened[0]?.say('runs', { runs: ['r'] }, '7-1')
  Fake.opened[0]?.onerror?.(new Event('error'))
  await vi.advanceTimersByTimeAsync(400)
  expect(Fake.opened.map(({ url }) => url)).toEqual(['/api/v1/live?run=r', '/api/v1/live?run=r&after=7-1'])
  expect(words).toEqual([{ kind: 'runs', runs: ['r'] }])
  expect(flowing).toEqual([true, false])
})

it('knocks until the gateway is back, ever more slowly', async () => {
  stream()
  gatewayIsThere = false
  Fake.opened[0]?.onerror?.(new Event('error'))
  await vi.advanceTimersByTimeAsync(20_000)
  expect(Fake.opened).toHaveLength(1)
  expect(knocks).toBeGreaterThan(4)
  expect(knocks).toBeLessThan(10)
  gatewayIsThere = true
  await vi.advanceTimersByTimeAsync(5000)
  expect(Fake.opened).toHaveLength(2)
})

it('takes silence for death', async () => {
  stream()
  Fake.opened[0]?.say('tick', {}, '8-1')
  await vi.advanceTimersByTimeAsync(11_000)
  expect(Fake.opened).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(2000)
  expect(Fake.opened).toHaveLength(2)
  expect(Fake.opened[0]?.closed).toBe(true)
})

it('renews the token when the stream ends with it, without calling that trouble', async () => {
  stream()
  Fake.opened[0]?.say('over', { why: 'token' }, '9-1')
  await vi.advanceTimersByTimeAsync(10)
  expect([knocks, Fake.opened.length, flowing]).toEqual([1, 2, [true]])
})

it('is quiet once closed', async () => {
  const one = stream()
  one.close()
  Fake.opened[0]?.say('tick', {})
  await vi.advanceTimersByTimeAsync(60_000)
  expect([words, Fake.opened.length]).toEqual([[], 1])
})

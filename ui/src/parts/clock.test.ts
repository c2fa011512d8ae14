import { describe, expect, it } from 'vitest'
import { duration, relative } from './clock'

const at = Date.UTC(2026, 10, 26, 12)
const words = { ms: 'ms', s: 's', min: 'min', h: 'h' }

describe('relative', () => {
  it('takes the largest unit that fits, in both languages', () => {
    expect(relative(at - 2000, at, 'en')).toBe('now')
    expect(relative(at - 59_000, at, 'en')).toBe('59 sec. ago')
    expect(relative(at - 61_000, at, 'en')).toBe('1 min. ago')
    expect(relative(at + 3 * 3_600_000, at, 'en')).toBe('in 3 hr.')
    expect(relative(at - 26 * 3_600_000, at, 'en')).toBe('yesterday')
    expect(relative(at - 5 * 60_000, at, 'ru')).toBe('5 мин. назад')
  })
})

describe('duration', () => {
  it('is as exact as a reader needs', () => {
    const shown = [40, 2440, 12_000, 59_600, 185_000, 7_620_000, -5].map((value) => duration(value, words))
    expect(shown).toEqual(['40 ms', '2.4 s', '12 s', '1 min 00 s', '3 min 05 s', '2 h 07 min', '0 ms'])
  })
})

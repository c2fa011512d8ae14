import { describe, expect, it } from 'vitest'
import { marked, pieces } from './ansi'
import { asText, plain, rowOf, rows, type LogLine } from './lines'
import { hitFrom, search } from './search'

const ESC = '\u001b['

function line(number: number, step: string, text: string): LogLine {
  return { number, at: 1_000_000 + number * 1000, step, text }
}

describe('pieces', () => {
  it('cuts a line where its look changes', () => {
    expect(pieces(`a${ESC}1;31mred${ESC}39m bold${ESC}0m end`)).toEqual([
      { text: 'a', classes: '' },
      { text: 'red', classes: 'ansi-red ansi-bold' },
      { text: ' bold', classes: 'ansi-bold' },
      { text: ' end', classes: '' },
    ])
  })

  it('drops what moves cursors, sets titles and links', () => {
    expect(pieces(`${ESC}2K${ESC}1Gok\u001b]0;title\u0007!`).map(({ text }) => text)).toEqual(['ok', '!'])
    expect(plain(`\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\`)).toBe('link')
  })

  it('survives sequences that are cut off or nonsense', () => {
    expect(plain(`a\u001b`)).toBe('a\u001b')
    expect(pieces(`${ESC}38;5mx${ESC}38;2;1;2;3my${ESC}999mz`).map(({ text }) => text).join('')).toBe('xyz')
    expect(pieces(`${ESC}38;5;9mx`)).toEqual([{ text: 'x', classes: 'ansi-red' }])
  })

  it('never makes markup', () => {
    expect(pieces('<img onerror=x>')).toEqual([{ text: '<img onerror=x>', classes: '' }])
  })
})

describe('marked', () => {
  it('finds across looks and counts on the line', () => {
    const found = marked(pieces(`er${ESC}31mror: error`), 'error')
    expect(found).toEqual([
      { text: 'er', classes: '', hit: 0 },
      { text: 'ror', classes: 'ansi-red', hit: 0 },
      { text: ': ', classes: 'ansi-red' },
      { text: 'error', classes: 'ansi-red', hit: 1 },
    ])
  })
})

describe('search', () => {
  const lines = [line(1, 'a', 'Error error'), line(2, 'a', 'none'), line(3, 'b', `${ESC}31mER${ESC}0mROR`)]

  it('counts every hit of the whole log, through colours', () => {
    expect(search(lines, 'error')).toEqual([
      { line: 1, nth: 0 },
      { line: 1, nth: 1 },
      { line: 3, nth: 0 },
    ])
    expect(search(lines, 'ERROR')).toEqual([{ line: 3, nth: 0 }])
    expect(search(lines, '')).toEqual([])
  })

  it('goes on from where the reader is', () => {
    const hits = search(lines, 'error')
    expect([hitFrom(hits, 2), hitFrom(hits, 4)]).toEqual([2, 0])
  })

  it('is quick over a hundred thousand lines', () => {
    const many = Array.from({ length: 100_000 }, (_, index) => line(index + 1, 'a', `${ESC}32mline${ESC}0m ${String(index)}`))
    const began = performance.now()
    expect(search(many, 'line')).toHaveLength(100_000)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})

describe('rows', () => {
  const lines = [line(1, 'clone', 'a'), line(2, 'clone', 'b'), line(3, 'agent', 'c'), line(4, 'clone', 'd')]

  it('puts a head over each stretch of a step', () => {
    expect(rows(lines, new Set()).map((row) => (row.kind === 'step' ? row.step : row.line.number))).toEqual([
      'clone',
      1,
      2,
      'agent',
      3,
      'clone',
      4,
    ])
    expect(rows(lines, new Set())[0]).toMatchObject({ lines: 2, milliseconds: 1000, first: 1, open: true })
  })

  it('folds a step everywhere', () => {
    const folded = rows(lines, new Set(['clone']))
    expect(folded.map((row) => (row.kind === 'step' ? row.step : row.line.number))).toEqual(['clone', 'agent', 3, 'clone'])
    expect([rowOf(folded, 3), rowOf(folded, 1)]).toEqual([2, undefined])
  })
})

it('becomes a file without colours', () => {
  expect(asText([line(1, 'agent', `${ESC}31mred`)])).toBe('1970-01-01T00:16:41.000Z agent | red\n')
})

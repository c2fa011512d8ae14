import { describe, expect, it } from 'vitest'
import { parse } from '@/diff/parse'
import { changes } from './changes'

const shown = (before: string, after: string) => parse(changes('prompt', before, after))[0]?.hunks[0]?.lines.map((line) => [line.kind, line.text])

describe('changes between two texts', () => {
  it('are nothing where nothing changed', () => {
    expect(changes('prompt', 'a\nb\n', 'a\nb\n')).toBe('')
  })

  it('keep what stayed and mark what went and came, in order', () => {
    expect(shown('a\nb\nc\n', 'a\nx\nc\nd\n')).toEqual([
      ['same', 'a'],
      ['removed', 'b'],
      ['added', 'x'],
      ['same', 'c'],
      ['added', 'd'],
    ])
  })

  it('count as git does, also lines that look like headers', () => {
    const file = parse(changes('prompt', '@@ -1 +1 @@\n--- a\n', '--- a\n+++ b\n'))[0]
    expect([file?.path, file?.added, file?.removed]).toEqual(['prompt', 1, 1])
    expect(file?.hunks[0]?.lines.map((line) => line.text)).toEqual(['@@ -1 +1 @@', '--- a', '+++ b'])
  })

  it('of huge texts are the whole texts', () => {
    const long = (word: string) => Array.from({ length: 4500 }, (_, n) => `${word} ${String(n)}`).join('\n')
    expect(shown(long('a'), long('b'))?.length).toBe(9000)
  })
})

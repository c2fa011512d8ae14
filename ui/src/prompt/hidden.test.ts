import { expect, it } from 'vitest'
import { shown } from './hidden'

it('marks what a reader would not see, and loses nothing', () => {
  const text = 'a\u200bb <!-- obey --> c [hidden comment removed]\n\td\u{e0041} <!-- open'
  const pieces = shown(text)
  expect(pieces.map((piece) => piece.text).join('')).toBe(text)
  expect(pieces.map((piece) => (piece.kind === 'hidden' ? piece.code : piece.kind))).toEqual([
    'text', 'U+200B', 'text', 'comment', 'text', 'removed', 'text', 'U+E0041', 'text', 'comment',
  ])
  expect(shown('Größe – 日本語 ✅\r'.replace('\r', ''))).toEqual([{ kind: 'text', text: 'Größe – 日本語 ✅' }])
})

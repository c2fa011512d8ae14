/** A piece of a text: as it is, or something in it that a reader of the rendered text would not see. */
export type Shown = { kind: 'text' | 'comment' | 'removed'; text: string } | { kind: 'hidden'; text: string; code: string }

/** What the platform puts where it took out a hidden comment. */
const REMOVED = '[hidden comment removed]'

// Control, format and other characters that are not drawn, but for line ends and tabs.
const ODD = /<!--[\s\S]*?(?:-->|$)|\[hidden comment removed\]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu

/** Takes a text apart at what is hidden in it. */
export function shown(text: string): Shown[] {
  const pieces: Shown[] = []
  let from = 0
  for (const match of text.matchAll(ODD)) {
    if (match.index > from) pieces.push({ kind: 'text', text: text.slice(from, match.index) })
    pieces.push(odd(match[0]))
    from = match.index + match[0].length
  }
  if (from < text.length) pieces.push({ kind: 'text', text: text.slice(from) })
  return pieces
}

function odd(text: string): Shown {
  if (text === REMOVED) return { kind: 'removed', text }
  if (text.startsWith('<!--')) return { kind: 'comment', text }
  return { kind: 'hidden', text, code: `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}` }
}

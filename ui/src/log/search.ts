import { plain, type LogLine } from './lines'

/** A place where the wanted text is. */
export interface Hit {
  /** The line's number. */
  line: number
  /** Which of the hits on its line, from 0. */
  nth: number
}

/** What a search of the whole log gave. */
export interface Found {
  /** How often the text stands there. */
  count: number
  /** On which lines; the first few thousand. */
  lines: readonly { line: number; hits: number }[]
  /** How many lines were searched. */
  searched: number
}

/** The hits of lines, one by one. */
export function spread(lines: Found['lines']): Hit[] {
  return lines.flatMap(({ line, hits }) => Array.from({ length: hits }, (_, nth) => ({ line, nth })))
}

/** Every hit in the whole log, in order. Case does not matter unless a capital is asked for. */
export function search(lines: readonly LogLine[], wanted: string): Hit[] {
  const hits: Hit[] = []
  if (wanted === '') return hits
  const exact = wanted !== wanted.toLowerCase()
  for (const line of lines) {
    const text = exact ? plain(line.text) : plain(line.text).toLowerCase()
    let nth = 0
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      hits.push({ line: line.number, nth })
      nth += 1
    }
  }
  return hits
}

/** The hit to go to from a line: the next one at or after it, else the first. */
export function hitFrom(hits: readonly Hit[], line: number): number {
  const at = hits.findIndex((hit) => hit.line >= line)
  return at < 0 ? 0 : at
}

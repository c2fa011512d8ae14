/** A stretch of a line in one look. */
export interface Piece {
  text: string
  classes: string
  /** Which hit of the search on this line it belongs to, if to one. */
  hit?: number
}

interface Look {
  colour?: string
  back?: string
  bold?: true
  dim?: true
  italic?: true
  underline?: true
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white']

const SEQUENCE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g

/** Cuts a line where its look changes. What moves a cursor or sets a title is left out. */
export function pieces(text: string): Piece[] {
  if (!text.includes('\u001b')) return text === '' ? [] : [{ text, classes: '' }]
  const result: Piece[] = []
  let look: Look = {}
  let from = 0
  const take = (to: number) => {
    if (to > from) result.push({ text: text.slice(from, to), classes: classes(look) })
  }
  for (const match of text.matchAll(SEQUENCE)) {
    take(match.index)
    from = match.index + match[0].length
    if (match[2] === 'm') look = changed(look, match[1] ?? '')
  }
  take(text.length)
  return result
}

/** Cuts pieces further where the wanted text begins and ends, also across looks. */
export function marked(all: readonly Piece[], wanted: string): Piece[] {
  if (wanted === '') return [...all]
  const whole = all.map((piece) => piece.text).join('')
  const exact = wanted !== wanted.toLowerCase()
  const searched = exact ? whole : whole.toLowerCase()
  const starts: number[] = []
  for (let at = searched.indexOf(wanted); at >= 0; at = searched.indexOf(wanted, at + wanted.length)) starts.push(at)
  if (starts.length === 0) return [...all]
  const result: Piece[] = []
  let offset = 0
  for (const piece of all) {
    const end = offset + piece.text.length
    let from = offset
    while (from < end) {
      const nth = starts.findIndex((start) => start + wanted.length > from)
      const start = starts[nth]
      const inside = start !== undefined && start <= from
      const to = Math.min(end, start === undefined ? end : inside ? start + wanted.length : start)
      const text = piece.text.slice(from - offset, to - offset)
      result.push(inside ? { text, classes: piece.classes, hit: nth } : { text, classes: piece.classes })
      from = to
    }
    offset = end
  }
  return result
}

function changed(before: Look, parameters: string): Look {
  let look: Look = { ...before }
  const codes = parameters.split(/[;:]/).map(Number)
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0
    if (code === 0) look = {}
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(at + 1))
      at += used
      look = code === 38 ? withColour(look, colour) : withBack(look, colour)
    } else look = single(look, code)
  }
  return look
}

function single(look: Look, code: number): Look {
  switch (code) {
    case 1:
      return { ...look, bold: true }
    case 2:
      return { ...look, dim: true }
    case 3:
      return { ...look, italic: true }
    case 4:
      return { ...look, underline: true }
    case 22:
      return without(look, 'bold', 'dim')
    case 23:
      return without(look, 'italic')
    case 24:
      return without(look, 'underline')
    case 39:
      return withColour(look, undefined)
    case 49:
      return withBack(look, undefined)
    default:
      break
  }
  if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) return withColour(look, NAMES[code % 10])
  if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) return withBack(look, NAMES[code % 10])
  return look
}

/** Of the large palettes only the sixteen that have names in both themes are shown. */
function extended(codes: number[]): [string | undefined, number] {
  if (codes[0] === 5) {
    const index = codes[1] ?? 0
    return [index < 16 ? NAMES[index % 8] : undefined, 2]
  }
  return [undefined, codes[0] === 2 ? 4 : 0]
}

function withColour(look: Look, colour: string | undefined): Look {
  return colour === undefined ? without(look, 'colour') : { ...look, colour }
}

function withBack(look: Look, back: string | undefined): Look {
  return back === undefined ? without(look, 'back') : { ...look, back }
}

function without(look: Look, ...names: (keyof Look)[]): Look {
  const rest = { ...look }
  for (const name of names) Reflect.deleteProperty(rest, name)
  return rest
}

function classes(look: Look): string {
  const list: string[] = []
  // A coloured ground keeps the words readable by reversing them.
  if (look.back !== undefined && look.back !== 'black') list.push(`ansi-on-${look.back}`)
  else if (look.colour !== undefined) list.push(`ansi-${look.colour}`)
  for (const name of ['bold', 'dim', 'italic', 'underline'] as const) if (look[name]) list.push(`ansi-${name}`)
  return list.join(' ')
}

/** One line as the gateway keeps it. */
export interface LogLine {
  /** From 1, over the whole log; part of the line's address. */
  number: number
  /** When it was written, in milliseconds. */
  at: number
  /** The step or command that wrote it. */
  step: string
  /** As it was printed, with its escape sequences. */
  text: string
}

/** What a row of the viewer shows. */
export type Row =
  | { kind: 'step'; step: string; first: number; lines: number; milliseconds: number; open: boolean }
  | { kind: 'line'; line: LogLine }

/** The rows of a log in which the steps of `folded` show their head only. */
export function rows(lines: readonly LogLine[], folded: ReadonlySet<string>): Row[] {
  const result: Row[] = []
  for (let from = 0; from < lines.length; ) {
    const head = lines[from] as LogLine
    let to = from + 1
    while (to < lines.length && lines[to]?.step === head.step) to += 1
    const tail = lines[to - 1] as LogLine
    const open = !folded.has(head.step)
    result.push({
      kind: 'step',
      step: head.step,
      first: head.number,
      lines: to - from,
      milliseconds: tail.at - head.at,
      open,
    })
    if (open) for (let index = from; index < to; index += 1) result.push({ kind: 'line', line: lines[index] as LogLine })
    from = to
  }
  return result
}

/** Where a line is among the rows; none while its step is folded. */
export function rowOf(all: readonly Row[], number: number): number | undefined {
  const at = all.findIndex((row) => row.kind === 'line' && row.line.number === number)
  return at < 0 ? undefined : at
}

/** The text as a file, without what only colours a screen. */
export function asText(lines: readonly LogLine[]): string {
  return lines.map((line) => `${new Date(line.at).toISOString()} ${line.step} | ${plain(line.text)}\n`).join('')
}

const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g

/** The words of a line: no colours, no links, no movements of the cursor. */
export function plain(text: string): string {
  return text.includes('\u001b') ? text.replace(ESCAPES, '') : text
}

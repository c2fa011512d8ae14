/** A line of a hunk, with its number on either side. */
export interface DiffLine {
  kind: 'same' | 'added' | 'removed'
  text: string
  before?: number
  after?: number
}

export interface Hunk {
  /** What git writes behind the second `@@`: the function around it. */
  around: string
  lines: DiffLine[]
}

export interface DiffFile {
  path: string
  /** Its earlier name, if it has moved. */
  from?: string
  kind: 'changed' | 'added' | 'removed' | 'moved'
  binary: boolean
  added: number
  removed: number
  hunks: Hunk[]
}

/** Reads what `git diff` writes. What it does not understand it skips. */
export function parse(diff: string): DiffFile[] {
  const files: DiffFile[] = []
  let hunk: Hunk | undefined
  let [before, after] = [0, 0]
  // How much of the hunk is still to come: a removed line may look like a header.
  let [leftBefore, leftAfter] = [0, 0]
  for (const line of diff.split('\n')) {
    const file = files.at(-1)
    if (hunk !== undefined && (leftBefore > 0 || leftAfter > 0) && file !== undefined) {
      const text = line.slice(1)
      if (line.startsWith('+')) {
        hunk.lines.push({ kind: 'added', text, after: after++ })
        file.added += 1
        leftAfter -= 1
      } else if (line.startsWith('-')) {
        hunk.lines.push({ kind: 'removed', text, before: before++ })
        file.removed += 1
        leftBefore -= 1
      } else if (!line.startsWith('\\')) {
        hunk.lines.push({ kind: 'same', text, before: before++, after: after++ })
        leftBefore -= 1
        leftAfter -= 1
      }
      continue
    }
    const start = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/.exec(line)
    if (start !== null && file !== undefined) {
      ;[before, after] = [Number(start[1]), Number(start[3])]
      ;[leftBefore, leftAfter] = [Number(start[2] ?? 1), Number(start[4] ?? 1)]
      hunk = { around: start[5] ?? '', lines: [] }
      file.hunks.push(hunk)
    } else header(line, files)
  }
  return files
}

function header(line: string, files: DiffFile[]): void {
  const names = /^diff --git (?:"?a\/(.*?)"?) (?:"?b\/(.*?)"?)$/.exec(line)
  if (names !== null) {
    files.push({ path: names[2] ?? '', kind: 'changed', binary: false, added: 0, removed: 0, hunks: [] })
    return
  }
  const file = files.at(-1)
  if (file === undefined) return
  if (line.startsWith('new file')) file.kind = 'added'
  else if (line.startsWith('deleted file')) file.kind = 'removed'
  else if (line.startsWith('rename from ')) {
    file.kind = 'moved'
    file.from = line.slice('rename from '.length)
  } else if (line.startsWith('rename to ')) file.path = line.slice('rename to '.length)
  else if (line.startsWith('+++ b/')) file.path = line.slice('+++ b/'.length)
  else if (line.startsWith('Binary files ') || line === 'GIT binary patch') file.binary = true
}

/** Texts longer than this, in lines, are not compared line by line: the table would not fit into the page's memory. */
const MOST_LINES = 4000

/**
 * What has become of one text in the other, in the form that `git diff` writes, with every line that stayed. Empty where nothing
 * changed.
 */
export function changes(path: string, before: string, after: string): string {
  if (before === after) return ''
  const [old, now] = [lines(before), lines(after)]
  const marked = old.length * now.length > MOST_LINES * MOST_LINES ? replaced(old, now) : compare(old, now)
  return [`diff --git a/${path} b/${path}`, `--- a/${path}`, `+++ b/${path}`, `@@ -1,${String(old.length)} +1,${String(now.length)} @@`, ...marked, ''].join('\n')
}

function lines(text: string): string[] {
  return text.replace(/\n$/, '').split('\n')
}

function replaced(old: readonly string[], now: readonly string[]): string[] {
  return [...old.map((line) => `-${line}`), ...now.map((line) => `+${line}`)]
}

/** By the longest common subsequence of lines. */
function compare(old: readonly string[], now: readonly string[]): string[] {
  const width = now.length + 1
  const common = new Uint16Array((old.length + 1) * width)
  const at = (row: number, column: number) => common[row * width + column] ?? 0
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = now.length - 1; column >= 0; column--) {
      common[row * width + column] = old[row] === now[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  const marked: string[] = []
  let [row, column] = [0, 0]
  while (row < old.length || column < now.length) {
    if (row < old.length && column < now.length && old[row] === now[column]) {
      marked.push(` ${old[row++] ?? ''}`)
      column++
    } else if (column >= now.length || (row < old.length && at(row + 1, column) >= at(row, column + 1))) {
      marked.push(`-${old[row++] ?? ''}`)
    } else {
      marked.push(`+${now[column++] ?? ''}`)
    }
  }
  return marked
}

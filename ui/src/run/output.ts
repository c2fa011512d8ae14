import type { components } from '@/api/schema'
import type { LogLine } from '@/log/lines'

type Chunk = components['schemas']['LogChunk']

const ESC = '\u001b['
const bold = (text: string) => `${ESC}1m${text}${ESC}0m`
const dim = (text: string) => `${ESC}2m${text}${ESC}0m`
const red = (text: string) => `${ESC}31m${text}${ESC}0m`
const yellow = (text: string) => `${ESC}33m${text}${ESC}0m`

/**
 * Makes lines of the pieces of output that come in. Codex tells what it does as JSON: that becomes words; what is unknown
 * stays as it was sent.
 */
export class LogReader {
  readonly lines: LogLine[] = []
  private readonly open = new Map<string, { text: string; at: number }>()

  /** Takes pieces in their order. */
  push(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      const at = new Date(chunk.at).getTime()
      const parts = ((this.open.get(chunk.stream)?.text ?? '') + chunk.text).split('\n')
      const rest = parts.pop() ?? ''
      for (const part of parts) this.take(chunk.stream, part, at)
      this.open.set(chunk.stream, { text: rest, at })
    }
  }

  /** Nothing more comes: what has no end of line is a line all the same. */
  finish(): void {
    for (const [stream, { text, at }] of this.open) if (text !== '') this.take(stream, text, at)
    this.open.clear()
  }

  private take(stream: string, text: string, at: number): void {
    const shown = stream === 'codex' ? said(text) : [text]
    // A program that overwrites its line (a progress bar) has said the last of it.
    for (const line of shown) {
      const last = line.replace(/\r$/, '').split('\r').at(-1) ?? ''
      this.lines.push({ number: this.lines.length + 1, at, step: stream, text: last })
    }
  }
}

/** What one line of Codex's says, in words. */
function said(text: string): string[] {
  const event = parsed(text)
  if (event === undefined) return [text]
  const item = record(event.item)
  switch (event.type) {
    case 'thread.started':
    case 'turn.started':
    case 'item.updated':
      return []
    case 'item.started':
      return item?.type === 'command_execution' ? `$ ${str(item.command)}`.split('\n').map(bold) : []
    case 'item.completed':
      return item ? completed(item, text) : [text]
    case 'turn.completed':
      return []
    case 'turn.failed':
      return [red(str(record(event.error)?.message) || text)]
    case 'error':
      return [red(str(event.message) || text)]
    default:
      return [text]
  }
}

function completed(item: Record<string, unknown>, raw: string): string[] {
  switch (item.type) {
    case 'agent_message':
      return str(item.text).split('\n')
    case 'reasoning':
      return str(item.text).split('\n').map(dim)
    case 'command_execution': {
      const output = str(item.aggregated_output).replace(/\n$/, '')
      const code = item.exit_code
      const end = typeof code === 'number' && code !== 0 ? [red(`→ ${String(code)}`)] : []
      return [...(output === '' ? [] : output.split('\n')), ...end]
    }
    case 'file_change': {
      const changes = Array.isArray(item.changes) ? item.changes : []
      const marks: Record<string, string> = { add: '+', delete: '−', update: '~' }
      return changes.map((change) => {
        const entry = record(change)
        return bold(`${marks[str(entry?.kind)] ?? '~'} ${str(entry?.path)}`)
      })
    }
    case 'error':
      // Often a mere warning.
      return [yellow(str(item.message) || raw)]
    default:
      return [raw]
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return record(JSON.parse(text))
  } catch {
    return undefined
  }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function str(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

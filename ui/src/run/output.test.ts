import { expect, it } from 'vitest'
import { plain } from '@/log/lines'
import example from './log-example.json'
import { LogReader } from './output'

type Chunk = Parameters<LogReader['push']>[0][number]
let seq = 0
const chunk = (stream: Chunk['stream'], text: string): Chunk => ({ seq: seq++, at: '2026-11-26T12:00:00Z', stream, text })
const json = (value: unknown) => `${JSON.stringify(value)}\n`

function read(...chunks: Chunk[]): string[] {
  const reader = new LogReader()
  reader.push(chunks)
  reader.finish()
  return reader.lines.map((line) => `${line.step}: ${plain(line.text)}`)
}

it('puts lines together again that came in pieces, each stream by itself', () => {
  expect(read(chunk('check', 'a'), chunk('runner', 'x\n'), chunk('check', 'b\nc'))).toEqual(['runner: x', 'check: ab', 'check: c'])
})

it('tells what the agent does in words', () => {
  const item = (more: object) => chunk('codex', json({ type: 'item.completed', item: more }))
  expect(
    read(
      chunk('codex', json({ type: 'thread.started', thread_id: 't' })),
      chunk('codex', json({ type: 'item.started', item: { type: 'command_execution', command: 'make \\\ntest' } })),
      item({ type: 'command_execution', command: 'make test', aggregated_output: 'one\ntwo\n', exit_code: 2 }),
      item({ type: 'file_change', changes: [{ path: 'a.py', kind: 'update' }, { path: 'b.py', kind: 'add' }] }),
      item({ type: 'agent_message', text: 'Done.\nBye.' }),
      chunk('codex', json({ type: 'turn.failed', error: { message: 'quota' } })),
    ),
  ).toEqual(['codex: $ make \\', 'codex: test', 'codex: one', 'codex: two', 'codex: → 2', 'codex: ~ a.py', 'codex: + b.py', 'codex: Done.', 'codex: Bye.', 'codex: quota'])
})

it('leaves alone what it does not know', () => {
  const odd = '{"type":"item.completed","item":{"type":"brand_new","text":{}}}'
  expect(read(chunk('codex', `${odd}\nnot json\n{half`))).toEqual([`codex: ${odd}`, 'codex: not json', 'codex: {half'])
})

it('counts lines on as more comes, and shows the end of a progress bar', () => {
  const reader = new LogReader()
  reader.push([chunk('setup', '10%\r50%\r100%\n')])
  reader.push([chunk('setup', 'done\r\n')])
  expect(reader.lines.map(({ number, text }) => [number, text])).toEqual([
    [1, '100%'],
    [2, 'done'],
  ])
})

it('counts lines as the gateway does', () => {
  const reader = new LogReader()
  reader.push(example.chunks as Chunk[])
  reader.finish()
  expect(reader.lines.map(({ number, step, text }) => `${String(number)} ${step}: ${plain(text)}`)).toEqual(example.lines)
})

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { groupsOf, read, stepOf, type EngineEvent } from './history'

const at = (second: number) => new Date(second * 1000).toISOString()
const event = (id: number, kind: string, says: Record<string, unknown> = {}): EngineEvent => ({
  event_id: id,
  event_time: at(id),
  attributes: { [`${kind}EventAttributes`]: says },
})

it('puts an activity together with its tries and its end', () => {
  const events = [
    event(1, 'WorkflowExecutionStarted', { workflow_type: { name: 'AgentRun' } }),
    event(2, 'WorkflowTaskScheduled', { attempt: 1 }),
    event(3, 'WorkflowTaskStarted', { scheduled_event_id: 2 }),
    event(4, 'ActivityTaskScheduled', { activity_type: { name: 'prepare_workspace' } }),
    event(5, 'TimerStarted', { timer_id: '1' }),
    event(6, 'ActivityTaskStarted', { scheduled_event_id: 4, attempt: 3, last_failure: { message: 'no route' } }),
    event(7, 'WorkflowExecutionSignaled', { signal_name: 'job_reported' }),
    event(8, 'ActivityTaskFailed', { scheduled_event_id: 4, started_event_id: 6, failure: { message: 'gone' } }),
    event(9, 'TimerCanceled', { started_event_id: 5 }),
    event(10, 'WorkflowExecutionTerminated', { reason: 'by ada' }),
  ]
  const groups = groupsOf(events)
  expect(groups.map(({ kind, name, events: of, tries, fate, failure }) => [kind, name, of, tries, fate, failure])).toEqual([
    ['workflow', 'AgentRun', [1, 10], 1, 'failed', 'by ada'],
    ['activity', 'prepare_workspace', [4, 6, 8], 3, 'failed', 'gone'],
    ['timer', '1', [5, 9], 1, 'cancelled', ''],
    ['signal', 'job_reported', [7], 1, 'done', ''],
  ])
  expect(stepOf(groups[1] as never)).toBe('clone')
  expect([groups[1]?.began, groups[1]?.ended]).toEqual([4000, 8000])
})

it('reads a history that the engine wrote', () => {
  const { events } = JSON.parse(readFileSync('../workflows/histories/agent-run-queued-no-change.json', 'utf8')) as { events: EngineEvent[] }
  const steps = groupsOf(events).flatMap((group) => stepOf(group) ?? [])
  expect(steps).toEqual(['authorise', 'slot', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'settle'])
  expect(read(events[0] as EngineEvent).kind).toBe('WorkflowExecutionStarted')
  expect(groupsOf([{ event_id: 1 }])).toEqual([])
})

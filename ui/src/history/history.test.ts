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

it('tells of an activity that the worker did by itself', () => {
  const marker = (id: number, told: Record<string, unknown>, more: Record<string, unknown> = {}) => {
    const data = btoa(JSON.stringify({ activity_type: 'claim_slot', original_schedule_time: { seconds: 3, nanos: 500_000_000 }, backoff: null, ...told }))
    return event(id, 'MarkerRecorded', { marker_name: 'core_local_activity', details: { data: { payloads: [{ data }] } }, ...more })
  }
  const paused = marker(5, { attempt: 2, complete_time: { seconds: 4, nanos: 0 }, backoff: { seconds: 5 } }, { failure: { message: 'away' } })
  expect(groupsOf([paused])).toMatchObject([{ name: 'claim_slot', tries: 2, fate: 'under_way', failure: 'away', ended: undefined }])
  const done = marker(8, { attempt: 3, complete_time: { seconds: 9, nanos: 250_000_000 } })
  const [group] = groupsOf([paused, done])
  expect(group).toMatchObject({ kind: 'activity', events: [5, 8], began: 3500, ended: 9250, tries: 3, fate: 'done', failure: '' })
  expect(stepOf(group as never)).toBe('slot')
  expect(groupsOf([marker(9, { attempt: 1 }, { failure: { message: 'no' } })])).toMatchObject([{ fate: 'failed', failure: 'no', ended: 9000 }])
  expect(groupsOf([marker(9, { attempt: 1 }, { failure: { message: 'no', failure_info: { CanceledFailureInfo: {} } } })])).toMatchObject([{ fate: 'cancelled' }])
  expect(groupsOf([event(9, 'MarkerRecorded', { marker_name: 'core_local_activity' })])).toMatchObject([{ name: '', fate: 'done' }])
  expect(groupsOf([event(9, 'MarkerRecorded', { marker_name: 'core_patch' })])).toEqual([])
})

it('reads a history that the engine wrote', () => {
  const { events } = JSON.parse(readFileSync('../workflows/histories/agent-run-queued-no-change.json', 'utf8')) as { events: EngineEvent[] }
  const steps = groupsOf(events).flatMap((group) => stepOf(group) ?? [])
  expect(steps).toEqual(['authorise', 'slot', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'settle'])
  expect(read(events[0] as EngineEvent).kind).toBe('WorkflowExecutionStarted')
  expect(groupsOf([{ event_id: 1 }])).toEqual([])
})

it('takes a try by the own worker and what was handed out after it for one', () => {
  const { events } = JSON.parse(readFileSync('../workflows/histories/agent-run-late-forge.json', 'utf8')) as { events: EngineEvent[] }
  const groups = groupsOf(events)
  const asked = groups.filter((group) => group.name === 'authorise')
  expect(asked).toMatchObject([{ tries: 2, fate: 'done', failure: '' }])
  expect(asked[0]?.events.length).toBe(4)
  expect(groups.flatMap((group) => stepOf(group) ?? [])).toEqual(['authorise', 'slot', 'clone', 'prompt', 'launch', 'agent', 'collect', 'settle'])
})

it('counts what was handed out again and again after a try by the own worker', () => {
  const data = btoa(JSON.stringify({ activity_type: 'launch_job', attempt: 1, original_schedule_time: { seconds: 1 }, backoff: null }))
  const handedOut = (id: number) => [
    event(id, 'ActivityTaskScheduled', { activity_type: { name: 'launch_job' } }),
    event(id + 1, 'ActivityTaskStarted', { scheduled_event_id: id, attempt: 1 }),
    event(id + 2, 'ActivityTaskFailed', { scheduled_event_id: id, failure: { message: 'away' } }),
  ]
  const first = event(2, 'MarkerRecorded', { marker_name: 'core_local_activity', details: { data: { payloads: [{ data }] } }, failure: { message: 'late' } })
  expect(groupsOf([first, ...handedOut(3), ...handedOut(6)])).toMatchObject([{ name: 'launch_job', tries: 3, fate: 'failed', failure: 'away' }])
})

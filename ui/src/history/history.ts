/** An event as the engine keeps it: Temporal's `HistoryEvent` as JSON. */
export interface EngineEvent {
  event_id: number
  event_time?: string | null
  attributes?: Record<string, Record<string, unknown>> | null
}

export type Fate = 'done' | 'failed' | 'cancelled' | 'under_way'

/** What belongs together: an activity with its tries, a timer, a word from outside. */
export interface Group {
  kind: 'activity' | 'timer' | 'signal' | 'workflow'
  name: string
  /** Numbers of its events. */
  events: number[]
  began: number | undefined
  ended: number | undefined
  tries: number
  fate: Fate
  /** Why it failed, in the engine's words. */
  failure: string
}

const SUFFIX = 'EventAttributes'

/** The kind of an event, and what it says. */
export function read(event: EngineEvent): { kind: string; says: Record<string, unknown> } {
  const [name, says] = Object.entries(event.attributes ?? {})[0] ?? ['Unknown', {}]
  return { kind: name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : name, says }
}

const FATES: Record<string, Fate> = {
  ActivityTaskCompleted: 'done',
  ActivityTaskFailed: 'failed',
  ActivityTaskTimedOut: 'failed',
  ActivityTaskCanceled: 'cancelled',
  TimerFired: 'done',
  TimerCanceled: 'cancelled',
  WorkflowExecutionCompleted: 'done',
  WorkflowExecutionFailed: 'failed',
  WorkflowExecutionTimedOut: 'failed',
  WorkflowExecutionTerminated: 'failed',
  WorkflowExecutionCanceled: 'cancelled',
}

/** A marker of this name is an activity that the workflow's own worker has done. There is one for each end: of the last try, or of those before a longer pause. */
const LOCAL_ACTIVITY = 'core_local_activity'

/** Puts together what belongs together, in the order in which it began. What only drives the workflow is left out. */
export function groupsOf(events: readonly EngineEvent[]): Group[] {
  const groups: Group[] = []
  const byFirst = new Map<number, Group>()
  // Tries of what the own worker tried first, before it was handed out last.
  const triedBefore = new Map<Group, number>()
  const begin = (event: EngineEvent, kind: Group['kind'], name: string): void => {
    const group: Group = { kind, name, events: [event.event_id], began: at(event), ended: undefined, tries: kind === 'activity' ? 0 : 1, fate: 'under_way', failure: '' }
    groups.push(group)
    byFirst.set(event.event_id, group)
  }
  for (const event of events) {
    const { kind, says } = read(event)
    const first = number(says.scheduled_event_id) ?? number(says.started_event_id)
    const known = first === undefined ? undefined : byFirst.get(first)
    if (kind === 'ActivityTaskScheduled') {
      const name = text(record(says.activity_type)?.name)
      const before = groups.findLast((group) => group.kind === 'activity' && group.name === name)
      if (before?.fate === 'failed' && triedBefore.has(before)) {
        triedBefore.set(before, before.tries)
        goOn(before, event, byFirst)
      } else begin(event, 'activity', name)
    } else if (kind === 'TimerStarted') begin(event, 'timer', text(says.timer_id))
    else if (kind === 'WorkflowExecutionSignaled' || kind === 'WorkflowExecutionCancelRequested') {
      begin(event, 'signal', text(says.signal_name) || 'cancel')
      end(groups.at(-1), event, 'done', says)
    } else if (kind === 'MarkerRecorded' && says.marker_name === LOCAL_ACTIVITY) {
      const group = takeLocal(groups, event, says)
      triedBefore.set(group, group.tries)
    } else if (kind === 'WorkflowExecutionStarted') begin(event, 'workflow', text(record(says.workflow_type)?.name))
    else if (kind.startsWith('WorkflowExecution') && FATES[kind]) end(groups[0]?.kind === 'workflow' ? groups[0] : undefined, event, FATES[kind], says)
    else if (known && kind.startsWith(known.kind === 'timer' ? 'Timer' : 'ActivityTask')) {
      known.events.push(event.event_id)
      if (kind === 'ActivityTaskStarted') {
        known.tries = (triedBefore.get(known) ?? 0) + (number(says.attempt) ?? 1)
        known.failure = failureOf(says.last_failure) || known.failure
      }
      const fate = FATES[kind]
      if (fate) finish(known, event, fate, says)
    }
  }
  return groups
}

/** The event tells of the whole activity. After a pause that is a timer, it goes on where it was. */
function takeLocal(groups: Group[], event: EngineEvent, says: Record<string, unknown>): Group {
  const told = payload(record(says.details)?.data)
  const name = text(told?.activity_type)
  const began = seconds(told?.original_schedule_time) ?? at(event)
  const before = groups.find((group) => group.kind === 'activity' && group.name === name && group.began === began)
  const group: Group = before ?? { kind: 'activity', name, events: [], began, ended: undefined, tries: 1, fate: 'under_way', failure: '' }
  if (!before) groups.push(group)
  group.events.push(event.event_id)
  group.tries = number(told?.attempt) ?? group.tries
  group.failure = failureOf(says.failure)
  if (record(told?.backoff)) return group
  group.ended = seconds(told?.complete_time) ?? at(event)
  const cancelled = record(record(record(says.failure)?.failure_info)?.CanceledFailureInfo)
  group.fate = cancelled ? 'cancelled' : record(says.failure) ? 'failed' : 'done'
  return group
}

/** What the workflow's own worker has tried in vain is handed out to be done. */
function goOn(group: Group, event: EngineEvent, byFirst: Map<number, Group>): void {
  group.events.push(event.event_id)
  group.ended = undefined
  group.fate = 'under_way'
  byFirst.set(event.event_id, group)
}

function end(group: Group | undefined, event: EngineEvent, fate: Fate, says: Record<string, unknown>): void {
  if (group === undefined) return
  if (!group.events.includes(event.event_id)) group.events.push(event.event_id)
  finish(group, event, fate, says)
}

function finish(group: Group, event: EngineEvent, fate: Fate, says: Record<string, unknown>): void {
  group.ended = at(event)
  group.fate = fate
  group.failure = failureOf(says.failure) || text(says.reason) || (fate === 'failed' ? group.failure : '')
}

/** Whether a group is a step that people know, and which. */
export function stepOf(group: Group): Step | undefined {
  return group.kind === 'activity' ? STEPS[group.name] : undefined
}

type Step = 'authorise' | 'slot' | 'clone' | 'prompt' | 'launch' | 'agent' | 'collect' | 'publish' | 'settle'

const STEPS: Record<string, Step> = {
  authorise: 'authorise',
  claim_slot: 'slot',
  prepare_workspace: 'clone',
  write_prompt: 'prompt',
  launch_job: 'launch',
  watch_job: 'agent',
  collect: 'collect',
  publish: 'publish',
  settle: 'settle',
}

function failureOf(failure: unknown): string {
  return text(record(failure)?.message)
}

/** The JSON in the first of some payloads. */
function payload(payloads: unknown): Record<string, unknown> | undefined {
  const all = record(payloads)?.payloads
  const first = Array.isArray(all) ? text(record(all[0])?.data) : ''
  try {
    return record(JSON.parse(atob(first)))
  } catch {
    return undefined
  }
}

/** A moment as the engine's SDK notes it, in milliseconds. */
function seconds(moment: unknown): number | undefined {
  const [whole, nanos] = [number(record(moment)?.seconds), record(moment)?.nanos]
  return whole === undefined ? undefined : whole * 1000 + (typeof nanos === 'number' ? nanos / 1_000_000 : 0)
}

function at(event: EngineEvent): number | undefined {
  const time = event.event_time ? Date.parse(event.event_time) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

function number(value: unknown): number | undefined {
  const read = typeof value === 'string' ? Number(value) : value
  return typeof read === 'number' && read > 0 ? read : undefined
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

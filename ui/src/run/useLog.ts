import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { answer, api } from '@/api/client'
import { live, logGoesOn } from '@/live/state'
import type { LogLine } from '@/log/lines'
import { LogReader } from './output'

/** While lines may come and nobody tells of them, this long after the last answer. */
const PAUSE_MS = 700
/** Where the stream tells of them, should it have lost a word. */
const TOLD_MS = 5000
const AFTER_TROUBLE_MS = 3000

/** The log of an attempt: what is there, then what comes, until the attempt is over. */
export function useLog(run: Ref<string>, attempt: Ref<number>) {
  const lines = shallowRef<readonly LogLine[]>([])
  const ended = ref(false)
  const loaded = ref(false)
  const error = ref<unknown>()
  let turn = 0

  async function read(mine: number): Promise<void> {
    const reader = new LogReader()
    let from = 0
    while (mine === turn) {
      try {
        const path = { run: run.value, attempt: attempt.value }
        const page = await answer(api.GET('/api/v1/runs/{run}/attempts/{attempt}/log', { params: { path, query: { from, limit: 2000 } } }))
        if (mine !== turn) return
        error.value = undefined
        reader.push(page.chunks)
        from = page.next
        if (page.ended) reader.finish()
        if (page.chunks.length > 0 || page.ended) lines.value = [...reader.lines]
        loaded.value = true
        ended.value = page.ended
        if (page.ended) return
        // A full page has another one behind it.
        if (page.chunks.length === 0) await logGoesOn(run.value, attempt.value, from, live.flows ? TOLD_MS : PAUSE_MS)
      } catch (problem) {
        error.value = problem
        await pause(AFTER_TROUBLE_MS)
      }
    }
  }

  function begin(): void {
    turn += 1
    lines.value = []
    ;[ended.value, loaded.value] = [false, false]
    void read(turn)
  }

  watch([run, attempt], begin, { immediate: true })
  onScopeDispose(() => {
    turn += 1
  })
  return { lines, ended, loaded, error }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

import { ref, watch, type Ref, type WatchSource } from 'vue'
import { Problem } from '@/api/problem'
import { i18n } from '@/i18n'
import { tell } from './toasts'

/** What went wrong, as a sentence. */
export function sentenceOf(error: unknown): string {
  return (error instanceof Problem && error.words) || i18n.global.t('problem.unreachable_help')
}

/** By what those who run the gateway find in its log what went wrong; empty where nothing reached it. */
export function traceOf(error: unknown): string {
  return error instanceof Problem && error.requestId ? `${error.code} · ${i18n.global.t('problem.request')} ${error.requestId}` : ''
}

/** Tells what went wrong where there is no dialog to say it. */
export function tellFailure(error: unknown): void {
  tell('bad', sentenceOf(error), traceOf(error))
}

/** Sends what a dialog holds, one at a time; what went wrong is kept, and what was typed stays. */
export function useSending() {
  const busy = ref(false)
  const failed = ref<unknown>()

  /** Whether it went well. */
  async function send(run: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    failed.value = undefined
    try {
      await run()
      return true
    } catch (error) {
      failed.value = error
      return false
    } finally {
      busy.value = false
    }
  }
  return { busy, failed, send }
}

/** Names a wish for the gateway: sent again after a lost answer it is done once; whatever changes in it makes it another. */
export function useWishKey(parts: WatchSource[]): Readonly<Ref<string>> {
  const key = ref(crypto.randomUUID() as string)
  watch(parts, () => {
    key.value = crypto.randomUUID()
  })
  return key
}

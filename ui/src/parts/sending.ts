import { ref, watch, type Ref, type WatchSource } from 'vue'
import { Problem } from '@/api/problem'
import { i18n } from '@/i18n'

/** What went wrong, as a sentence. */
export function sentenceOf(error: unknown): string {
  return (error instanceof Problem && error.words) || i18n.global.t('problem.unreachable_help')
}

/** Sends what a dialog holds, one at a time; what went wrong is kept as a sentence, and what was typed stays. */
export function useSending() {
  const busy = ref(false)
  const failed = ref('')

  /** Whether it went well. */
  async function send(run: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    failed.value = ''
    try {
      await run()
      return true
    } catch (error) {
      failed.value = sentenceOf(error)
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

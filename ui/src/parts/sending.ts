import { ref } from 'vue'
import { useI18n } from 'vue-i18n'
import { Problem } from '@/api/problem'

/** Sends what a dialog holds, one at a time; what went wrong is kept as a sentence, and what was typed stays. */
export function useSending() {
  const { t } = useI18n()
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
      failed.value = (error instanceof Problem && error.detail) || t('problem.unreachable_help')
      return false
    } finally {
      busy.value = false
    }
  }
  return { busy, failed, send }
}

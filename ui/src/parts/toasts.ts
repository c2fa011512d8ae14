import { reactive } from 'vue'

export interface Toast {
  id: number
  tone: 'good' | 'bad'
  text: string
  /** By what those who run the gateway find it in the log. */
  trace: string
}

const SHOWN_MS = 6000
let last = 0

/** What was just done, in a sentence. Failures stay until somebody closes them. */
export const toasts = reactive<Toast[]>([])

export function tell(tone: Toast['tone'], text: string, trace = ''): void {
  const id = ++last
  toasts.push({ id, tone, text, trace })
  if (tone === 'good') setTimeout(() => dismiss(id), SHOWN_MS)
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

import { reactive } from 'vue'

export interface Toast {
  id: number
  tone: 'good' | 'bad'
  text: string
}

const SHOWN_MS = 6000
let last = 0

/** What was just done, in a sentence. Failures stay until somebody closes them. */
export const toasts = reactive<Toast[]>([])

export function tell(tone: Toast['tone'], text: string): void {
  const id = ++last
  toasts.push({ id, tone, text })
  if (tone === 'good') setTimeout(() => dismiss(id), SHOWN_MS)
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

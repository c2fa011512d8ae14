import { onScopeDispose, ref, type Ref } from 'vue'

let watchers = 0
let timer: ReturnType<typeof setInterval> | undefined
const now = ref(Date.now())

/** The present, in milliseconds; one timer moves it for everything on screen. */
export function useNow(): Readonly<Ref<number>> {
  if (watchers++ === 0) {
    now.value = Date.now()
    timer = setInterval(() => {
      now.value = Date.now()
    }, 1000)
  }
  onScopeDispose(() => {
    if (--watchers === 0) clearInterval(timer)
  })
  return now
}

const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** “3 min ago”, “in 2 hr.”, in the words of a language. Below five seconds it is “now”. */
export function relative(at: number, present: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  const seconds = Math.round((at - present) / 1000)
  if (Math.abs(seconds) < 5) return format.format(0, 'second')
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1]
  return format.format(Math.trunc(seconds / size), unit)
}

/** The whole moment with its time zone, for those who compare it with other logs. */
export function absolute(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'long' }).format(at)
}

/** “40 ms”, “2.4 s”, “12 s”, “3 min 05 s”, “2 h 07 min”. */
export function duration(milliseconds: number, words: { ms: string; s: string; min: string; h: string }): string {
  const seconds = Math.max(0, milliseconds) / 1000
  if (seconds < 1) return `${String(Math.round(seconds * 1000))} ${words.ms}`
  if (seconds < 10) return `${seconds.toFixed(1)} ${words.s}`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} ${words.s}`
  const two = (value: number) => String(value).padStart(2, '0')
  if (whole < 3600) return `${Math.floor(whole / 60)} ${words.min} ${two(whole % 60)} ${words.s}`
  return `${Math.floor(whole / 3600)} ${words.h} ${two(Math.floor((whole % 3600) / 60))} ${words.min}`
}

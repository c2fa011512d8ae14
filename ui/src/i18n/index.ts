import { createI18n } from 'vue-i18n'
import type { Messages } from './en'
import { say, type Sentences } from './sentences'

export const languages = ['en', 'ru'] as const
export type Language = (typeof languages)[number]

/** Russian has three forms: 1 запуск, 2 запуска, 5 запусков. */
export function russianForm(count: number, forms: number): number {
  const [tens, units] = [Math.abs(count) % 100, Math.abs(count) % 10]
  const form = tens > 10 && tens < 20 ? 2 : units === 1 ? 0 : units > 1 && units < 5 ? 1 : 2
  return Math.min(form, forms - 1)
}

const messages = { en: () => import('./en'), ru: () => import('./ru') } satisfies Record<
  Language,
  () => Promise<{ default: Messages; sentences: Sentences }>
>
/** The gateway's sentences in the languages that were fetched. */
const sentences = new Map<Language, Sentences>()

export const i18n = createI18n<[Messages], Language, false>({
  legacy: false,
  locale: 'en',
  pluralRules: { ru: russianForm },
  messages: {} as Record<Language, Messages>,
})

/** The language that was chosen before, or that the browser asks for. */
export function preferredLanguage(): Language {
  const kept = read('language')
  const wishes = kept === null ? navigator.languages : [kept]
  const known = wishes.map((wish) => wish.slice(0, 2)).find((wish) => (languages as readonly string[]).includes(wish))
  return (known as Language | undefined) ?? 'en'
}

let wish: Language | undefined

/** Switches everything on screen; a language is fetched when somebody reads it. Of two wishes the later one holds, whatever comes first. */
export async function speak(language: Language): Promise<void> {
  wish = language
  if (!i18n.global.availableLocales.includes(language)) {
    const fetched = await messages[language]()
    i18n.global.setLocaleMessage(language, fetched.default)
    sentences.set(language, fetched.sentences)
    if (wish !== language) return
  }
  i18n.global.locale.value = language
  say(sentences.get(language) ?? {})
  document.documentElement.lang = language
  keep('language', language)
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value)
  } catch {
    // The wish then lasts as long as the page.
  }
}

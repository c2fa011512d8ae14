import { ref } from 'vue'
import type { components } from '@/api/schema'

export type Coded = components['schemas']['Coded']
/** Patterns by code, of one language. */
export type Sentences = Record<string, string>

/** Those of the language that is spoken; English needs none, it is what the gateway says. */
const spoken = ref<Sentences>({})

/** Has sentences said in these words from now on. */
export function say(sentences: Sentences): void {
  spoken.value = sentences
}

/** A sentence of the gateway's in the language that is spoken; in its own words where this console does not know the code. */
export function inWords(english: string | null | undefined, coded: Coded | null | undefined): string {
  const words = coded && fill(coded, spoken.value)
  // Within a sentence it begins small, alone it does not.
  return words ? words.charAt(0).toUpperCase() + words.slice(1) : (english ?? '')
}

/** None if a part of it is not known: half a sentence in each language would be worse than one in English. */
function fill(coded: Coded, sentences: Sentences): string | undefined {
  const pattern = Object.hasOwn(sentences, coded.code) ? sentences[coded.code] : undefined
  if (pattern === undefined) return undefined
  let known = true
  const words = pattern.replace(/\{(\w+)\}/g, (_, place: string) => {
    const value = coded.params[place]
    const text = typeof value === 'object' ? fill(value, sentences) : value
    known &&= text !== undefined
    return text ?? ''
  })
  return known ? words : undefined
}

import { afterEach, describe, expect, it } from 'vitest'
import made from '../../../docs/sentences.json'
import { sentences } from './ru/sentences'
import { inWords, say } from './sentences'

const places = (pattern: string) => [...pattern.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).toSorted()

it('has a Russian sentence for every one of the gateway’s, with the same places, and no other', () => {
  expect(Object.keys(sentences).toSorted()).toEqual(Object.keys(made).toSorted())
  for (const [code, english] of Object.entries(made)) {
    expect([code, places(sentences[code] ?? '')]).toEqual([code, places(english)])
    // Names of settings and words in code stay; the sentence itself is Russian where the English has words.
    if (/[a-z]{3}/.test(english.replaceAll(/\{\w+\}|pull request/g, ''))) expect(sentences[code]).toMatch(/[а-яё]/)
  }
})

describe('a sentence', () => {
  afterEach(() => {
    say({})
  })
  const coded = { code: 'while_step', params: { step: { code: 'step_clone', params: {} }, cause: 'git fetch failed' } }

  it('is the gateway’s own in English', () => {
    expect(inWords('While cloning the repository: git fetch failed', coded)).toBe('While cloning the repository: git fetch failed')
  })

  it('is put together in Russian, and begins with a capital', () => {
    say(sentences)
    expect(inWords('', coded)).toBe('Шаг «клонирование репозитория»: git fetch failed')
    expect(inWords('', { code: 'own_write', params: {} })).toBe('Это вернулась наша собственная запись')
  })

  it('stays as it is where the console is older than the gateway', () => {
    say(sentences)
    expect(inWords('the moon is full', { code: 'moon_full', params: {} })).toBe('the moon is full')
    const inside = { code: 'while_step', params: { ...coded.params, step: { code: 'step_dream', params: {} } } }
    expect(inWords('While dreaming: no', inside)).toBe('While dreaming: no')
    expect(inWords('no code', null)).toBe('no code')
    expect(inWords(null, null)).toBe('')
    expect(inWords('x', { code: 'toString', params: {} })).toBe('x')
  })
})

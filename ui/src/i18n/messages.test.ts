import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import en from './en'
import { i18n, russianForm, speak } from './index'
import ru from './ru'

type Tree = { [key: string]: string | Tree }

function keys(tree: Tree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [prefix + key] : keys(value, `${prefix}${key}.`),
  )
}

function text(tree: Tree, key: string): string {
  const found = key.split('.').reduce<string | Tree | undefined>((at, part) => (typeof at === 'object' ? at[part] : at), tree)
  return typeof found === 'string' ? found : ''
}

const placeholders = (message: string) => [...new Set([...message.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))].toSorted()
const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.startsWith('i18n'))
  .map((name) => readFileSync(join('src', name), 'utf8'))
  .join('\n')

describe('messages', () => {
  it('are the same in both languages', () => {
    expect(keys(ru)).toEqual(keys(en))
    for (const key of keys(en)) {
      expect([key, placeholders(text(ru, key))]).toEqual([key, placeholders(text(en, key))])
      expect(text(ru, key).trim()).not.toBe('')
    }
  })

  it('have three forms in Russian where English has two', () => {
    for (const key of keys(en).filter((key) => text(en, key).includes(' | '))) {
      expect([key, text(ru, key).split(' | ').length]).toEqual([key, 3])
    }
  })

  it('are all used, and none that is used is missing', () => {
    // Keys that are put together: `step_state.${…}`.
    const families = [...sources.matchAll(/`([a-z_.]+[._])\$\{/g)].map((match) => match[1] ?? '')
    const unused = keys(en).filter(
      (key) => !sources.includes(`'${key}'`) && !sources.includes(`keypath="${key}"`) && !families.some((family) => key.startsWith(family)),
    )
    expect(unused).toEqual([])
    const used = [...sources.matchAll(/\bt\('([a-z_.]+)'/g)].map((match) => match[1] ?? '')
    expect(used.length).toBeGreaterThan(50)
    expect(used.filter((key) => text(en, key) === '')).toEqual([])
  })
})

it('counts in Russian', () => {
  expect([1, 2, 5, 11, 21, 22, 25, 111, 0].map((count) => russianForm(count, 3))).toEqual([0, 1, 2, 2, 0, 1, 2, 2, 2])
})

it('speaks the language that was wished last, even where an earlier one comes later', async () => {
  await speak('en')
  const slow = speak('ru')
  await speak('en')
  await slow
  expect(i18n.global.locale.value).toBe('en')
  expect(document.documentElement.lang).toBe('en')
  await speak('ru')
  expect(i18n.global.t('close')).toBe('Закрыть')
})

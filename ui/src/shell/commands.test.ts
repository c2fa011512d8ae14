import { expect, it } from 'vitest'
import { matching, type Command } from './commands'

const command = (text: string): Command => ({ id: text, text, icon: 'dot', run: () => undefined })
const commands = ['Go to Projects', 'Go to My profile', 'Switch to the dark theme', 'Перейти: Проекты'].map(command)
const found = (typed: string) => matching(commands, typed).map(({ text }) => text)

it('finds by the beginnings of words, in any order and language', () => {
  expect(found('pro')).toEqual(['Go to Projects', 'Go to My profile'])
  expect(found('prof my')).toEqual(['Go to My profile'])
  expect(found('ПРОЕ')).toEqual(['Перейти: Проекты'])
  expect(found('ark')).toEqual([])
  expect(found('  ')).toHaveLength(4)
})

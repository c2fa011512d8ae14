import { effectScope } from 'vue'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { hear, useShortcuts } from './shortcuts'

const go = vi.fn()
const help = vi.fn()
let scope = effectScope()

beforeEach(() => {
  scope = effectScope()
  scope.run(() => {
    useShortcuts([
      { keys: 'g r', run: go },
      { keys: '?', run: help },
      { keys: 'mod+k', run: help },
    ])
  })
})
afterEach(() => {
  scope.stop()
  go.mockClear()
  help.mockClear()
})

const key = (name: string, more: KeyboardEventInit = {}) => new KeyboardEvent('keydown', { key: name, ...more })

function typedInto(tag: string, name: string): KeyboardEvent {
  const event = key(name)
  Object.defineProperty(event, 'target', { value: document.createElement(tag) })
  return event
}

it('takes two keys in a row, if the second comes soon', () => {
  expect([hear(key('g'), 0), hear(key('r'), 500)]).toEqual([false, true])
  expect(go).toHaveBeenCalledTimes(1)
  expect([hear(key('g'), 0), hear(key('r'), 5000)]).toEqual([false, false])
  expect(go).toHaveBeenCalledTimes(1)
})

it('leaves what is being typed alone', () => {
  expect(hear(typedInto('input', '?'), 0)).toBe(false)
  expect(hear(typedInto('div', '?'), 0)).toBe(true)
  expect(hear(key('?', { altKey: true }), 0)).toBe(false)
})

it('asks the newest layer first, and forgets it with its component', () => {
  const own = vi.fn()
  const inner = effectScope()
  inner.run(() => useShortcuts([{ keys: '?', run: own }]))
  hear(key('?'), 0)
  inner.stop()
  hear(key('?'), 0)
  expect([own.mock.calls.length, help.mock.calls.length]).toEqual([1, 1])
})

it('knows Ctrl and ⌘ as one', () => {
  hear(key('k', { ctrlKey: true }), 0)
  hear(key('K', { metaKey: true }), 0)
  expect(help).toHaveBeenCalledTimes(2)
})

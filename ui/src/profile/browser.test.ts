import { expect, it } from 'vitest'
import { browserName } from './browser'

it('tells browsers apart that claim to be each other', () => {
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36'
  expect(browserName(chrome)).toBe('Chrome, Linux')
  expect(browserName(`${chrome} Edg/156.0`)).toBe('Edge, Linux')
  expect(browserName('Mozilla/5.0 (Macintosh; Intel Mac OS X 14_1) AppleWebKit/605 Version/18 Safari/605')).toBe('Safari, macOS')
  expect(browserName('Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe('Firefox, Windows')
  expect(browserName('curl/8.0')).toBeUndefined()
  expect(browserName(null)).toBeUndefined()
})

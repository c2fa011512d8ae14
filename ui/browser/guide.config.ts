import { defineConfig } from '@playwright/test'
import base from '../playwright.config'

// Pictures, not tests: `cargo dev guide`.
export default defineConfig({
  ...base,
  testDir: '.',
  testMatch: 'guide.ts',
  webServer: [],
  use: { ...base.use, viewport: { width: 1200, height: 700 }, colorScheme: 'light' },
})

import { defineConfig } from '@playwright/test'

const root = process.getuid?.() === 0

export default defineConfig({
  testDir: 'browser',
  testMatch: '*.spec.ts',
  // One platform serves them all, and they change what it knows.
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  use: {
    locale: 'en-GB',
    viewport: { width: 1360, height: 860 },
    trace: 'off',
    launchOptions: {
      ...(process.env.CODEX_K8S_CHROMIUM && { executablePath: process.env.CODEX_K8S_CHROMIUM }),
      // Chromium has no sandbox for root; what it loads here is ours.
      args: ['--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...(root ? ['--no-sandbox'] : [])],
    },
  },
  webServer: {
    command: 'node_modules/.bin/vite browser/gallery --config vite.config.ts --port 5199 --strictPort --host 127.0.0.1',
    url: 'http://127.0.0.1:5199/index.html',
    reuseExistingServer: false,
  },
})

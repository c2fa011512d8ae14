import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import tailwind from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** Packs what browsers fetch, once, so that the gateway need not do it for each of them. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    writeBundle(options) {
      const folder = options.dir ?? 'dist'
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (/\.(js|css|html|svg)$/.test(name)) {
          const path = join(folder, name)
          writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
        }
      }
    },
  }
}

const here = fileURLToPath(new URL('.', import.meta.url))
const gateway = process.env.GATEWAY_URL ?? 'http://127.0.0.1:7400'

export default defineConfig({
  plugins: [vue(), tailwind(), packed()],
  resolve: { alias: { '@': fileURLToPath(new URL('src', import.meta.url)) } },
  // The gateway's policy allows no inline scripts, styles or pictures.
  build: { target: 'es2022', manifest: 'manifest.json', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false, __INTLIFY_PROD_DEVTOOLS__: false, __VUE_I18N_LEGACY_API__: false },
  server: {
    // The devkit links the packages from its cache.
    fs: { allow: [here, realpathSync(join(here, 'node_modules'))] },
    proxy: Object.fromEntries(
      ['/api', '/auth', '/ops', '/.well-known'].map((path) => [path, { target: gateway, headers: { origin: gateway } }]),
    ),
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.ts'], restoreMocks: true },
})

// The first load: the entry, the heavier language, and whatever the heaviest screen adds to them, as JavaScript that travels gzipped.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const LIMIT = 150_000
const folder = process.argv[2] ?? 'dist'
const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))

function closure(key, seen = new Set()) {
  if (!seen.has(key)) {
    seen.add(key)
    for (const next of manifest[key].imports ?? []) closure(next, seen)
  }
  return seen
}

const sizes = new Map()
function size(key) {
  const { file } = manifest[key]
  if (!file.endsWith('.js')) return 0
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(join(folder, file)), { level: 9 }).length)
  return sizes.get(file)
}
const weigh = (keys) => [...keys].reduce((sum, key) => sum + size(key), 0)

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry)
const languages = ['src/i18n/en.ts', 'src/i18n/ru.ts'].map((key) => closure(key))
const base = new Set([...closure(entry), ...languages.sort((a, b) => weigh(b) - weigh(a))[0]])
const screens = Object.keys(manifest)
  .filter((key) => manifest[key].isDynamicEntry && !key.startsWith('src/i18n/'))
  .map((key) => ({ key, bytes: weigh(new Set([...base, ...closure(key)])) }))
  .sort((a, b) => b.bytes - a.bytes)
const heaviest = screens[0]?.bytes ?? weigh(base)

console.log(`entry with a language ${weigh(base)} bytes gzipped; with ${screens[0]?.key ?? 'nothing else'} ${heaviest} of ${LIMIT}`)
if (heaviest > LIMIT) {
  for (const { key, bytes } of screens.slice(0, 5)) console.log(`  ${bytes} ${key}`)
  console.log('The first load is over its budget: load what is not needed at once with import().')
  process.exit(1)
}

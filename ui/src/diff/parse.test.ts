import { expect, it } from 'vitest'
import { parse } from './parse'

const DIFF = `diff --git a/greeter/__init__.py b/greeter/__init__.py
index 111..222 100644
--- a/greeter/__init__.py
+++ b/greeter/__init__.py
@@ -1,4 +1,5 @@ def greet(name):
 first
--- looks like a header
+++ so does this
+second
 third
 fourth
\\ No newline at end of file
diff --git a/old name.md b/new name.md
similarity index 100%
rename from old name.md
rename to new name.md
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
`

it('reads files, hunks and numbers', () => {
  const [file] = parse(DIFF)
  expect(file).toMatchObject({ path: 'greeter/__init__.py', kind: 'changed', added: 2, removed: 1 })
  expect(file?.hunks[0]?.around).toBe('def greet(name):')
  expect(file?.hunks[0]?.lines).toEqual([
    { kind: 'same', text: 'first', before: 1, after: 1 },
    { kind: 'removed', text: '-- looks like a header', before: 2 },
    { kind: 'added', text: '++ so does this', after: 2 },
    { kind: 'added', text: 'second', after: 3 },
    { kind: 'same', text: 'third', before: 3, after: 4 },
    { kind: 'same', text: 'fourth', before: 4, after: 5 },
  ])
})

it('knows moves and binary files', () => {
  const [, moved, picture] = parse(DIFF)
  expect(moved).toMatchObject({ path: 'new name.md', from: 'old name.md', kind: 'moved', hunks: [] })
  expect(picture).toMatchObject({ path: 'logo.png', kind: 'added', binary: true })
})

it('makes nothing of nothing', () => {
  expect(parse('')).toEqual([])
  expect(parse('no diff at all\n@@ -1 +1 @@\n+x')).toEqual([])
})

// What the first screen weighs, packed as the server sends it: scripts, styles and fonts of the first paint. It looks at the
// built files, so `npm run build` comes first.

import { existsSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'

const FIRST_SCREEN_BYTES_MAX = 250_000

const dist = new URL('../../dist/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, dist))

/** Every file that the page needs before it shows something: what it names, and what those import at once. */
function firstScreen(): Set<string> {
  const found = new Set<string>(['index.html'])
  const queue = [...read('index.html').toString().matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1] ?? '')
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name)) continue
    found.add(name)
    const text = name.endsWith('.woff2') ? '' : read(name).toString()
    if (name.endsWith('.js')) for (const match of text.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) queue.push(`assets/${match[1]}`)
    if (name.endsWith('.css')) for (const match of text.matchAll(/url\(\/(assets\/[^)]+latin-(?:wght-normal|400-normal)[^)]*\.woff2)\)/g)) queue.push(match[1] ?? '')
  }
  return found
}

it.runIf(existsSync(new URL('index.html', dist)))('the first screen is light', () => {
  const files = firstScreen()
  expect([...files].some((name) => name.endsWith('.css'))).toBe(true)
  expect([...files].some((name) => /TerminalPane|CodeView|PdfView|Task-/.test(name))).toBe(false)
  const packed = [...files].reduce((sum, name) => sum + (name.endsWith('.woff2') ? read(name).length : gzipSync(read(name)).length), 0)
  console.info(`first screen: ${files.size} files, ${packed} bytes packed`)
  expect(packed).toBeLessThanOrEqual(FIRST_SCREEN_BYTES_MAX)
})

it.runIf(existsSync(new URL('index.html', dist)))('the page has no inline script or style, and names nobody else', () => {
  const page = read('index.html').toString()
  expect(page).not.toMatch(/<style|style=|<script(?![^>]*src=)|\son\w+=/)
  expect(page).not.toMatch(/(?:src|href)="(?!\/)/)
})

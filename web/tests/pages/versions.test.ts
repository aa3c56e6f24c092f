// A file that is read while the agent goes on writing it: the new version is drawn, and whoever reads keeps their place.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Locator, Page } from 'playwright-core'
import { isDrawn, pdf } from './samples'
import { closeBrowser, done, open, Server, sh } from './stage'

const server = new Server()

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

/** All of them once more, with another word in each line. */
const written = (word: string) =>
  sh(`seq 400 | sed 's/$/,${word}/' > rows.csv; seq 400 | sed 's/.*/line_& = "${word}"/' > code.py; seq 400 | sed 's/$/ ${word}/' > text.md; echo ${pdf()} | base64 -d > page.pdf`)
const ask = (text: string) => ({ calls: [{ name: 'message_ask_user', arguments: { text } }] })

/** How far down it is, of what scrolls about it; moved first where that is wanted. */
const place = (inside: Locator, to?: number) =>
  inside.evaluate((node, to) => {
    const up = (at: Element): Element | null => at.parentElement ?? (at.getRootNode() instanceof ShadowRoot ? (at.getRootNode() as ShadowRoot).host : null)
    for (let at: Element | null = node; at; at = up(at)) {
      if (at.scrollHeight <= at.clientHeight + 100 || !/auto|scroll/.test(getComputedStyle(at).overflowY)) continue
      if (to !== undefined) at.scrollTop = to
      return at.scrollTop
    }
    return -1
  }, to)

/** Points that it is moved down. */
const DOWN = 150

async function answer(page: Page, next: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Your answer…' }).fill('Go on')
  await page.keyboard.press('Enter')
  await page.getByText(next).first().waitFor()
}

const files: [name: string, inside: (page: Page) => Locator][] = [
  ['rows.csv', (page) => page.getByRole('region', { name: 'rows.csv' }).locator('table')],
  ['code.py', (page) => page.locator('.cm-content')],
  ['text.md', (page) => page.locator('.one .markdown')],
  ['page.pdf', (page) => page.locator('.one canvas')]
]

it.each(files)('%s', async (name, inside) => {
  const id = await server.task(server.script({ calls: [written('before')] }, ask('One?'), { calls: [written('after')] }, ask('Two?')), `Write ${name}`)
  await server.until(id, 'waiting')
  // So low that each of them is longer than its place.
  const page = await open(server, `/tasks/${id}`, { viewport: { width: 1900, height: 600 } })
  await page.getByRole('tab', { name: 'Files' }).click()
  await page.getByRole('button', { name, exact: true }).click()
  const shown = inside(page)
  const paper = name === 'page.pdf'
  const has = (word: string) => expect.poll(() => shown.innerText()).toContain(word)
  if (paper) await expect.poll(() => isDrawn(shown)).toBe(true)
  else await has('before')
  await expect.poll(() => place(shown, DOWN)).toBe(DOWN)
  if (paper) await shown.evaluate((canvas) => canvas.setAttribute('data-before', ''))
  await answer(page, 'Two?')
  if (paper) await page.locator('.one canvas:not([data-before])').waitFor()
  else await has('after')
  await expect.poll(async () => Math.abs((await place(shown)) - DOWN)).toBeLessThan(30)
  // Another file begins at its top.
  await page.getByRole('button', { name: name === 'rows.csv' ? 'code.py' : 'rows.csv', exact: true }).click()
  const other = name === 'rows.csv' ? page.locator('.cm-content') : page.getByRole('region', { name: 'rows.csv' }).locator('table')
  await expect.poll(() => other.innerText()).toContain('after')
  await expect.poll(() => place(other)).toBe(0)
  await done(page)
})

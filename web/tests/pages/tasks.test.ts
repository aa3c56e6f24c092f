// The list of tasks when there are more of them than one page of the list has.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, serious, Server } from './stage'

const server = new Server()
const made: string[] = []

beforeAll(async () => {
  await server.start()
  const ends = server.script({ say: 'The cheapest is from the second firm.' })
  const asks = server.script({ calls: [{ name: 'message_ask_user', arguments: { text: 'Which one?' } }] })
  const make = async (model: string, brief: string, state: string) => {
    const id = await server.task(model, brief)
    await server.until(id, state)
    made.push(id)
  }
  await make(ends, 'Compare the three offers', 'done')
  await make(asks, 'Sort the letters', 'waiting')
  for (let at = 1; at <= 7; at++) await make(server.script({ say: 'Done.', calls: [{ name: 'idle' }] }), `Count to ${at}`, 'done')
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

/** A page whose list comes in pages of three. */
async function paged(options = {}): Promise<Page> {
  const page = await open(server, '/settings/about', options)
  await page.route(/\/v1\/tasks\?limit=100/, (route) => route.continue({ url: route.request().url().replace('limit=100', 'limit=3') }))
  await page.goto(server.url)
  await page.locator('.list a').first().waitFor({ state: 'attached' })
  return page
}
const titles = (page: Page) => page.locator('.list .title').allInnerTexts()

it('a search finds tasks that are not loaded, by words, by last words and by state, and shows where', async () => {
  const page = await paged()
  await expect.poll(() => titles(page)).toEqual(['Count to 7', 'Count to 6', 'Count to 5'])
  const search = page.getByRole('searchbox', { name: 'Search tasks' })
  await search.fill('OFFERS compare')
  await expect.poll(() => titles(page)).toEqual(['Compare the three offers'])
  await search.fill('second cheapest')
  await page.locator('.elsewhere').getByText('… is from the second firm.').waitFor()
  expect(await titles(page)).toEqual(['Compare the three offers'])
  expect(await serious(page)).toEqual([])
  await search.fill('count')
  await expect.poll(() => titles(page)).toEqual(['Count to 7', 'Count to 6', 'Count to 5'])
  await page.getByRole('button', { name: 'Show older tasks' }).click()
  await page.getByRole('button', { name: 'Show older tasks' }).click()
  await expect.poll(() => titles(page)).toEqual(['Count to 7', 'Count to 6', 'Count to 5', 'Count to 4', 'Count to 3', 'Count to 2', 'Count to 1'])
  expect(await page.getByRole('button', { name: 'Show older tasks' }).count()).toBe(0)
  await search.fill('no such thing')
  await page.getByText('No task matches.').waitFor()
  await search.fill('')
  await expect.poll(() => titles(page)).toEqual(['Count to 7', 'Count to 6', 'Count to 5'])
  await page.getByRole('button', { name: 'Waits for you' }).click()
  await expect.poll(() => titles(page)).toEqual(['Sort the letters'])
  await done(page)
})

it('what was found stays fresh: an answered task leaves the waiting ones, and one that was seen is unread', async () => {
  const page = await paged()
  const waiting = made[1] ?? ''
  await page.goto(`${server.url}/tasks/${waiting}`)
  await page.getByText('Which one?').first().waitFor()
  await page.goto(server.url)
  const search = page.getByRole('searchbox', { name: 'Search tasks' })
  await search.fill('letters')
  await expect.poll(() => titles(page)).toEqual(['Sort the letters'])
  expect(await page.locator('.list a.unread').count()).toBe(0)
  await server.post(`/v1/tasks/${waiting}/stop`, {})
  await page.locator('.list a.unread').getByText('New since you looked').waitFor({ state: 'attached' })
  await page.getByRole('button', { name: 'Waits for you' }).click()
  await page.getByText('No task matches.').waitFor()
  await page.getByRole('button', { name: 'Stopped' }).click()
  await expect.poll(() => titles(page)).toEqual(['Sort the letters'])
  await done(page)
})

it('pages that were opened stay while new tasks come, each once', async () => {
  const page = await paged()
  for (let at = 0; at < 2; at++) await page.getByRole('button', { name: 'Show older tasks' }).click()
  await expect.poll(async () => (await titles(page)).length).toBe(9)
  await server.until(await server.task(server.script({ say: 'Done.', calls: [{ name: 'idle' }] }), 'The latest'), 'done')
  await expect.poll(() => titles(page)).toEqual(['The latest', ...[7, 6, 5, 4, 3, 2, 1].map((at) => `Count to ${at}`), 'Sort the letters', 'Compare the three offers'])
  await done(page)
})

it('a list that is refused says why, and a record that cannot be read is named', async () => {
  const page = await paged()
  await page.route(/\/v1\/tasks\?/, (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify({ detail: 'the disk is full', hint: 'make room on it' }) }))
  await page.locator('.sidebar [role=alert]').getByText('make room on it').waitFor()
  await page.unroute(/\/v1\/tasks\?/)
  await page.locator('.sidebar').getByRole('button', { name: 'Try again' }).click()
  await page.locator('.sidebar [role=alert]').waitFor({ state: 'detached' })
  const id = made.pop() ?? ''
  writeFileSync(join(server.home, 'data/tasks', id, 'journal.db'), 'no journal any more')
  await page.getByText(`thenar journal verify ${id}`).waitFor()
  expect(await serious(page)).toEqual([])
  await done(page)
})

// The first screen: what a newcomer finds before there is a model, and what comes along with a task.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, overflowing, serious, Server } from './stage'

const server = new Server()
const toolset = process.env['THENAR_TOOLSET']

beforeAll(async () => {
  delete process.env['THENAR_TOOLSET']
  await server.start()
})
afterAll(async () => {
  if (toolset) process.env['THENAR_TOOLSET'] = toolset
  await closeBrowser()
  await server.close()
})

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

it.each([
  ['wide', {}],
  ['dark', { colorScheme: 'dark' as const }],
  ['on a phone', PHONE],
  ['on a phone in Chinese', { ...PHONE, locale: 'zh-CN' }]
])('without a model it says what to do: %s', async (_, options) => {
  const page = await open(server, '/', options)
  await page.locator('.setup').waitFor()
  expect(await page.locator('.setup a').getAttribute('href')).toBe('/settings/models')
  await page.locator('.composer textarea').fill('Count to three')
  expect(await page.locator('.composer .send').isDisabled()).toBe(true)
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  await done(page)
})

it('the demo runs without a model, is called a script, and says what it lacks', async () => {
  const page = await open(server)
  const demo = page.getByRole('button', { name: /Watch a whole task being done/ })
  await demo.getByText('Script, no model needed').waitFor()
  await demo.click()
  await page.getByRole('alert').getByText('thenar setup').waitFor()
  expect(await serious(page)).toEqual([])

  // The server looks for the mark of a toolset that is whole; what a step finds there is not asked here.
  const folder = join(server.home, 'toolset')
  mkdirSync(folder)
  writeFileSync(join(folder, 'COMPLETE'), '')
  process.env['THENAR_TOOLSET'] = folder
  await server.kill()
  await server.start()
  await page.goto(server.url)
  await demo.click()
  await page.getByText('This is a scripted demo').waitFor()
  await page.getByRole('main').getByText('Script', { exact: true }).first().waitFor()
  const id = page.url().split('/').at(-1) ?? ''
  expect(await server.get(`/v1/tasks/${id}`)).toMatchObject({ model: 'script:demo', inputs: ['birdstrikes.csv', 'late-reports.csv'] })
  await done(page)
})

/** Files as the system gives them to a page. */
async function give(page: Page, how: 'drop' | 'paste', names: string[]): Promise<void> {
  await page.evaluate(
    ([how, names]) => {
      const data = new DataTransfer()
      for (const [at, name] of names.entries()) data.items.add(new File([name.repeat(at + 1)], name, { lastModified: Date.now() }))
      // Dropped beside the box as well as into it.
      const target = document.querySelector(how === 'drop' ? 'h1' : '.composer textarea')
      const init = { bubbles: true, cancelable: true }
      if (how === 'paste') target?.dispatchEvent(new ClipboardEvent('paste', { ...init, clipboardData: data }))
      else for (const kind of ['dragenter', 'dragover', 'drop']) target?.dispatchEvent(new DragEvent(kind, { ...init, dataTransfer: data }))
    },
    [how, names] as const
  )
}

it('with a model: it and the budget are in sight, an example is taken, files come by drop and paste', async () => {
  await server.put('/v1/settings/models/openai:little', { base_url: 'http://127.0.0.1:1/v1' })
  const page = await open(server)
  await page.getByRole('button', { name: 'Choose the model' }).getByText('little').waitFor()
  await page.getByRole('button', { name: 'Budget' }).getByText('No limit').waitFor()
  expect(await page.locator('.setup').count()).toBe(0)
  await page.getByRole('button', { name: /A picture/ }).click()
  await expect.poll(() => page.getByRole('textbox', { name: 'What should be done?' }).inputValue()).toMatch(/2,000 prime numbers/)
  await give(page, 'drop', ['offer.pdf', 'second.pdf'])
  await give(page, 'paste', ['image.png'])
  await give(page, 'paste', ['other', 'image.png'])
  await expect.poll(() => page.locator('.composer .files .truncate').allInnerTexts()).toEqual(['offer.pdf', 'second.pdf', 'image.png', 'other', 'image-2.png'])
  await page.getByRole('button', { name: 'Remove second.pdf' }).click()
  expect(await serious(page)).toEqual([])
  await page.getByRole('button', { name: 'Begin' }).click()
  await page.waitForURL(/\/tasks\//)
  const id = page.url().split('/').at(-1) ?? ''
  expect(await server.get(`/v1/tasks/${id}`)).toMatchObject({ model: 'openai:little', inputs: ['offer.pdf', 'image.png', 'other', 'image-2.png'] })
  await done(page)
})

it('a budget that cannot be read is told where the task is written, and holds it back', async () => {
  await server.put('/v1/settings/models/openai:little', { base_url: 'http://127.0.0.1:1/v1' })
  const page = await open(server)
  await page.getByRole('button', { name: 'Choose the model' }).getByText('little').waitFor()
  await page.getByRole('textbox', { name: 'What should be done?' }).fill('Count to three')
  await page.getByRole('button', { name: 'Budget' }).click()
  await page.getByLabel('Time').fill('soon')
  await page.keyboard.press('Escape')
  const told = page.locator('.home').getByRole('alert')
  await told.getByText('time as 90s').waitFor()
  expect(await page.locator('.composer .send').isDisabled()).toBe(true)
  expect(await serious(page)).toEqual([])
  await page.getByRole('button', { name: 'Budget' }).click()
  await page.getByLabel('Time').fill('20m')
  await page.keyboard.press('Escape')
  await told.waitFor({ state: 'detached' })
  expect(await page.locator('.composer .send').isDisabled()).toBe(false)
  await done(page)
})

it('files on their way are told, and can be held back with nothing lost of what was written', async () => {
  await server.put('/v1/settings/models/openai:little', { base_url: 'http://127.0.0.1:1/v1' })
  const page = await open(server)
  await page.getByRole('button', { name: 'Choose the model' }).getByText('little').waitFor()
  // A line so slow that nothing arrives.
  await page.route('**/v1/tasks', (route) => (route.request().method() === 'POST' ? undefined : route.continue()))
  const box = page.getByRole('textbox', { name: 'What should be done?' })
  await box.fill('Compare these')
  await give(page, 'drop', ['offer.pdf'])
  await page.getByRole('button', { name: 'Begin' }).click()
  await page.getByRole('status').getByText(/Sending .* of files/).waitFor()
  expect(await serious(page)).toEqual([])
  await page.getByRole('button', { name: 'Stop sending' }).click()
  await page.getByText(/Sending/).waitFor({ state: 'detached' })
  expect(await box.inputValue()).toBe('Compare these')
  expect(await page.locator('.composer .files .truncate').allInnerTexts()).toEqual(['offer.pdf'])
  expect(await page.locator('.home').getByRole('alert').count()).toBe(0)
  expect(await page.getByRole('button', { name: 'Begin' }).isEnabled()).toBe(true)
  await page.unroute('**/v1/tasks')
  await page.getByRole('button', { name: 'Begin' }).click()
  await page.waitForURL(/\/tasks\//)
  await done(page)
})

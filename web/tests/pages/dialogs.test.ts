// Every dialog and every menu, as different people see it: axe finds nothing serious in it, nothing stands beside the edge, it holds
// the focus while it is open, and gives it back at Escape.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import { closeBrowser, done, open, overflowing, serious, Server } from './stage'

const server = new Server()
let id = ''

beforeAll(async () => {
  await server.start()
  await server.put('/v1/settings/models/openai:little', { base_url: 'http://127.0.0.1:1/v1', api_key: 'a-key' })
  await server.put('/v1/secrets/GITHUB_TOKEN', { value: 'a value', hosts: ['api.github.com', '*.example.org'] })
  const write = (path: string, content: string) => ({ name: 'file_write', arguments: { path, content } })
  id = await server.task(
    server.script(
      { calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write', status: 'done' }], acceptance: [{ text: 'It opens' }] } }, write('notes.md', '# Notes\n\nAll of them.\n'), write('rows.csv', 'a,b\n1,2\n'), write('run.py', 'print(1)\n'), write('page.html', '<!doctype html><title>P</title><h1>P</h1>') ] },
      { calls: [{ name: 'deliver', arguments: { files: [{ path: 'notes.md' }, { path: 'rows.csv' }, { path: 'run.py' }, { path: 'page.html' }], acceptance: [{ text: 'It opens', status: 'passed', note: 'by hand' }] } }] },
      { say: 'Done.', calls: [{ name: 'idle' }] }
    ),
    'Write a few things down'
  )
  await server.until(id, 'done')
  await server.post(`/v1/tasks/${id}/shares`, { what: 'outputs', expires: '1d' })
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const button = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name, exact: typeof name === 'string' })
const task = () => `/tasks/${id}`
const more = async (page: Page, item: string) => {
  await button('More')(page).press('Enter')
  await page.locator('.menu').getByRole('button', { name: item }).press('Enter')
}

/** Each: where it is, what opens it by keyboard, and what shows that it is open. */
const panels: [name: string, path: () => string, opener: (page: Page) => Locator, ready: (page: Page) => Locator][] = [
  ['the models', () => '/', button(/^Choose the model/), (page) => page.getByRole('radio', { name: /openai:little/ })],
  ['the budget', () => '/', button(/^Budget/), (page) => page.getByLabel('US dollars')],
  ['the network', () => '/', button(/^Network/), (page) => page.getByLabel(/GITHUB_TOKEN/)],
  ['what can be done to a task', task, button('More'), (page) => page.getByRole('button', { name: 'Remove the task' })],
  ['what can be done to a model', () => '/settings/models', button('More about openai:little'), (page) => page.locator('.menu button').first()]
]

const dialogs: [name: string, path: () => string, opener: (page: Page) => Locator, act: ((page: Page) => Promise<unknown>) | null, ready: (page: Page) => Locator][] = [
  ['a preview of Markdown', task, button(/^Open notes.md/), null, (page) => page.getByRole('dialog').getByRole('heading', { name: 'Notes', exact: true })],
  ['a preview of a table', task, button(/^Open rows.csv/), null, (page) => page.getByRole('cell', { name: '1', exact: true })],
  ['a preview of code', task, button(/^Open run.py/), null, (page) => page.locator('dialog .cm-content')],
  ['a preview of a page', task, button(/^Open page.html/), null, (page) => page.locator('dialog iframe')],
  ['a link to the task', task, (page) => page.locator('.head').getByRole('button', { name: 'Share', exact: true }), null, (page) => page.getByRole('radio', { name: /Everything/ })],
  ['another way from here', task, button('More'), (page) => more(page, 'Try it another way'), (page) => page.getByRole('dialog').locator('textarea')],
  ['the files set back', task, button('More'), (page) => more(page, 'Set the files back'), (page) => page.getByRole('dialog').getByLabel('Moment')],
  ['another budget', task, button('More'), (page) => more(page, 'Change the budget'), (page) => page.getByRole('dialog').getByLabel('Steps')],
  ['the removal of a task', task, button('More'), (page) => more(page, 'Remove the task'), (page) => page.getByRole('button', { name: 'Remove for good' })],
  ['a new model', () => '/settings/models', button('Add a model'), null, (page) => page.getByRole('dialog').getByLabel('Key', { exact: true })],
  ['a new secret', () => '/settings/network', button('Keep a secret'), null, (page) => page.getByRole('dialog').getByLabel('Name')],
  ['another value of a secret', () => '/settings/network', button('Replace GITHUB_TOKEN'), null, (page) => page.getByRole('dialog').getByLabel('Value')]
]

const views: [name: string, options: BrowserContextOptions][] = [
  ['wide and light', {}],
  ['wide and dark', { colorScheme: 'dark' }],
  ['on a phone', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }]
]

/** What axe finds serious, and what is not drawn whole within the window. */
async function faults(page: Page, box: Locator): Promise<string[]> {
  const beside = await box.evaluate((node) => {
    const { left, right } = node.getBoundingClientRect()
    return left < 0 || right > window.innerWidth || node.scrollWidth > node.clientWidth ? [`${left} to ${right}, ${node.scrollWidth} in ${node.clientWidth}`] : []
  })
  return [...(await serious(page)), ...(await overflowing(page)), ...beside]
}

/** How often Tab leads out of a dialog: only the browser's own bar, which the page sees as nothing, may come between. */
async function leaks(page: Page): Promise<number> {
  let count = 0
  for (let times = 0; times < 20; times++) {
    await page.keyboard.press('Tab')
    count += await page.evaluate(() => (document.activeElement === document.body || document.activeElement?.closest('dialog') ? 0 : 1))
  }
  return count
}

describe.each(views)('%s', (view, options) => {
  it('every menu', { timeout: 180_000 }, async () => {
    const page = await open(server, '/', options)
    let at = '/'
    for (const [name, path, opener, ready] of panels) {
      if (path() !== at) await page.goto(server.site + (at = path()))
      const by = opener(page)
      await by.press('Enter')
      await ready(page).waitFor()
      expect([name, await faults(page, page.locator('[popover]:popover-open'))]).toEqual([name, []])
      await page.keyboard.press('Escape')
      await ready(page).waitFor({ state: 'detached' })
      await expect.poll(() => by.evaluate((node) => node === document.activeElement)).toBe(true)
    }
    await done(page)
  })
  it('every dialog', { timeout: 180_000 }, async () => {
    const page = await open(server, task(), options)
    let at = task()
    for (const [name, path, opener, act, ready] of dialogs) {
      // On a phone it is in the menu.
      if (view === 'on a phone' && name === 'a link to the task') continue
      if (path() !== at) await page.goto(server.site + (at = path()))
      const by = opener(page)
      await by.waitFor()
      await (act ? act(page) : by.press('Enter'))
      await ready(page).waitFor()
      expect([name, await faults(page, page.locator('dialog'))]).toEqual([name, []])
      if (view === 'wide and light') expect([name, await leaks(page)]).toEqual([name, 0])
      await page.keyboard.press('Escape')
      await page.locator('dialog').waitFor({ state: 'detached' })
      await expect.poll(() => by.evaluate((node) => node === document.activeElement)).toBe(true)
    }
    await done(page)
  })
})

it('what is marked in a field and let go of beside the dialog does not close it; a click beside it does', async () => {
  const page = await open(server, '/settings/network')
  await page.getByRole('button', { name: 'Keep a secret' }).click()
  const field = page.getByRole('dialog').getByLabel('Name')
  await field.fill('A_NAME')
  const { x, y, width, height } = (await field.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
  await page.mouse.move(x + width / 2, y + height / 2)
  await page.mouse.down()
  await page.mouse.move(20, y + height / 2)
  await page.mouse.up()
  expect(await field.inputValue()).toBe('A_NAME')
  await page.mouse.click(20, 20)
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await done(page)
})

it('a secret that is kept again after it was removed is asked about anew', async () => {
  await server.put('/v1/secrets/OTHER_TOKEN', { value: 'a value', hosts: ['api.example.org'] })
  const page = await open(server, '/settings/network')
  await page.getByRole('button', { name: 'Remove OTHER_TOKEN' }).click()
  await page.getByRole('button', { name: 'Remove for good' }).click()
  await page.getByText('OTHER_TOKEN').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Keep a secret' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill('OTHER_TOKEN')
  await dialog.getByLabel('Value').fill('another value')
  await dialog.getByLabel('Hosts it may go to').fill('api.example.org')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('button', { name: 'Replace OTHER_TOKEN' }).waitFor()
  expect(await page.getByRole('button', { name: 'Remove for good' }).count()).toBe(0)
  await done(page)
})

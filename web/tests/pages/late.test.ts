// Answers that come late, in another order, or not at all: what is on screen is of what the person asked for last, and nothing
// that they wrote or chose is taken from them.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Page, Route } from 'playwright-core'
import { closeBrowser, done, open, plan, Server, sh } from './stage'

const server = new Server()
let finished = ''

const write = (path: string, content: string) => ({ name: 'file_write', arguments: { path, content } })
const ask = (text: string) => ({ calls: [{ name: 'message_ask_user', arguments: { text } }] })

beforeAll(async () => {
  await server.start(server.script({ say: 'Counted.', calls: [{ name: 'idle' }] }))
  finished = await server.task(server.script({ calls: [plan(['Write', 'in_progress']), write('count.py', 'def count():\n    return 1\n'), write('notes.txt', 'plain words\n'), write('last.csv', 'a,b\n')] }, { say: 'Written.', calls: [{ name: 'idle' }] }), 'Write some files')
  await server.until(finished, 'done')
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

/** Holds back requests until they are let go. */
async function hold(page: Page, url: RegExp, method: string) {
  const held: Route[] = []
  let open = false
  await page.route(url, (route) => {
    if (open || route.request().method() !== method) return route.continue()
    held.push(route)
    return undefined
  })
  return {
    async comes(): Promise<void> {
      await expect.poll(() => held.length).toBeGreaterThan(0)
    },
    urls: () => held.map((route) => route.request().url()),
    /** Of an answer that the page reads as it comes, the browser does not always tell the end. */
    async release(whole = true): Promise<void> {
      open = true
      const answers = held.map((route) => page.waitForResponse((response) => response.request() === route.request()))
      for (const route of held) await route.continue()
      for (const answer of await Promise.all(answers)) if (whole) await answer.finished()
    }
  }
}

/** Refuses such requests until it is told to stop. */
async function refuse(page: Page, url: RegExp, method: string): Promise<() => Promise<void>> {
  const answer = (route: Route) =>
    route.request().method() === method ? route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify({ title: 'x', status: 500, detail: 'It did not work.', hint: '' }) }) : route.continue()
  await page.route(url, answer)
  return () => page.unroute(url, answer)
}

it('a file whose colours come late does not empty the place of the one that was chosen after it', async () => {
  // At a moment of the past both are known from the record: nothing is fetched but the colours.
  const page = await open(server, `/tasks/${finished}`)
  await page.getByText('Written.').waitFor()
  await page.getByRole('slider', { name: 'Moment' }).press('ArrowLeft')
  await page.getByRole('tab', { name: 'Files' }).click()
  await page.getByRole('button', { name: 'notes.txt', exact: true }).click()
  await page.locator('.cm-content').getByText('plain words').waitFor()
  const colours = await hold(page, /\/assets\/.*\.js$/, 'GET')
  await page.getByRole('button', { name: 'count.py', exact: true }).click()
  await colours.comes()
  await page.getByRole('button', { name: 'notes.txt', exact: true }).click()
  await page.locator('.cm-content').getByText('plain words').waitFor()
  await colours.release()
  // What came late has been looked at by now: it was asked for before.
  await page.evaluate(`Promise.all(${JSON.stringify(colours.urls())}.map((url) => import(url)))`)
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  await page.locator('.cm-content').getByText('plain words').waitFor()
  expect(await page.locator('.cm-editor').count()).toBe(1)
  await done(page)
})

it('hosts that were written before the usual ones were known stay', async () => {
  await server.put('/v1/settings/hosts', { allow_net: ['pypi.org'] })
  const page = await open(server, '/settings/about')
  const settings = await hold(page, /\/v1\/settings$/, 'GET')
  await page.getByRole('link', { name: 'New task' }).click()
  await settings.comes()
  await page.getByRole('button', { name: 'Network' }).click()
  await page.getByLabel('Hosts that its programs may reach').fill('example.net')
  await settings.release()
  // Its own are sent, for they are not the usual ones.
  expect(await page.getByLabel('Hosts that its programs may reach').inputValue()).toBe('example.net')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: '1 host' }).waitFor()
  await server.put('/v1/settings/hosts', { allow_net: [] })
  await done(page)
})

it('what is written while a word is on its way is not lost', async () => {
  const id = await server.task(server.script(ask('One?'), ask('Two?')), 'Ask twice')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`)
  const box = page.getByRole('textbox', { name: 'Your answer…' })
  await box.fill('the first')
  const messages = await hold(page, /\/messages$/, 'POST')
  await box.press('Enter')
  await messages.comes()
  await box.press('End')
  await page.keyboard.type(' and more')
  await messages.release()
  await page.getByText('Two?').first().waitFor()
  await page.locator('.person').getByText('the first', { exact: true }).waitFor()
  await expect.poll(() => page.getByRole('textbox', { name: 'Your answer…' }).inputValue()).toBe('and more')
  await done(page)
})

it('who went elsewhere while a task is made is not fetched from there', async () => {
  const page = await open(server)
  const box = page.getByRole('textbox', { name: 'What should be done?' })
  await box.fill('Count the herons')
  await expect.poll(() => page.getByRole('button', { name: 'Begin', exact: true }).isEnabled()).toBe(true)
  const made = await hold(page, /\/v1\/tasks$/, 'POST')
  await box.press('Enter')
  await made.comes()
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('heading', { name: 'Settings' }).waitFor()
  await made.release()
  await page.getByRole('link', { name: /Count the herons/ }).waitFor()
  expect(new URL(page.url()).pathname).toBe('/settings')
  await page.getByRole('link', { name: 'New task' }).click()
  expect(await box.inputValue()).toBe('')
  await done(page)
})

it('limits and hosts that are not known yet are not written over, and are asked for again', async () => {
  await server.put('/v1/settings/limits', { max_steps: 40, max_time: '8h' })
  await server.put('/v1/settings/hosts', { allow_net: ['pypi.org'] })
  const page = await open(server, '/settings/about')
  const mend = await refuse(page, /\/v1\/settings$/, 'GET')
  await page.getByRole('link', { name: 'Budget' }).click()
  const all = page.getByRole('group', { name: 'For every task that says nothing else' })
  await page.getByRole('alert').waitFor()
  expect(await all.getByLabel('Steps').isDisabled()).toBe(true)
  await page.getByRole('link', { name: 'Hosts and secrets' }).click()
  const hosts = page.getByLabel('Hosts that every new task may reach')
  await page.getByRole('alert').waitFor()
  expect(await hosts.isDisabled()).toBe(true)
  await mend()
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect.poll(() => hosts.inputValue()).toBe('pypi.org')
  expect(await page.getByRole('alert').count()).toBe(0)
  await page.getByRole('link', { name: 'Budget' }).click()
  await expect.poll(() => all.getByLabel('Steps').inputValue()).toBe('40')
  // What is changed while the last is kept is not kept yet.
  const put = await hold(page, /\/v1\/settings\/limits$/, 'PUT')
  await all.getByLabel('Steps').fill('50')
  await all.getByRole('button', { name: 'Save' }).click()
  await put.comes()
  await all.getByLabel('Steps').fill('60')
  await put.release()
  await expect.poll(() => all.getByRole('button', { name: 'Save' }).isEnabled()).toBe(true)
  await all.getByRole('button', { name: 'Save' }).click()
  await expect.poll(() => all.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
  await expect.poll(async () => (await server.get<{ limits: object }>('/v1/settings')).limits).toMatchObject({ max_steps: 60, max_time: '8h' })
  await server.put('/v1/settings/limits', {})
  await server.put('/v1/settings/hosts', { allow_net: [] })
  await done(page)
})

it('why an answer was not taken stays until it is, and is said of nothing else', async () => {
  const deliver = { name: 'deliver', arguments: { files: [{ path: 'rows.csv' }], acceptance: [{ text: 'It has ten rows', status: 'failed', note: 'it has two' }], request_waiver: true } }
  const id = await server.task(server.script({ calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write' }], acceptance: [{ text: 'It has ten rows' }] } }, write('rows.csv', 'a,b\n1,2\n')] }, { calls: [deliver] }, { say: 'Over.', calls: [{ name: 'idle' }] }), 'Hand over although')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('textbox', { name: 'A note for the agent' }).waitFor()
  const mend = await refuse(page, /\/confirm$/, 'POST')
  const again = page.waitForResponse((response) => response.url().endsWith('/confirm') && response.request().method() === 'GET')
  await page.getByRole('button', { name: 'Allow' }).click()
  await (await again).finished()
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  await page.getByRole('alert').getByText('It did not work.').waitFor()
  const stop = await refuse(page, /\/stop$/, 'POST')
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await expect.poll(() => page.getByRole('alert').count()).toBe(2)
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('button', { name: 'Remove the task' }).click()
  await page.getByRole('dialog').waitFor()
  expect(await page.getByRole('dialog').getByRole('alert').count()).toBe(0)
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await stop()
  await mend()
  await page.getByRole('button', { name: 'Allow' }).click()
  await page.getByText('Over.').waitFor()
  expect(await page.getByRole('alert').count()).toBe(0)
  await done(page)
})

it('a link that was just made stays on screen when another is taken back', async () => {
  await server.post(`/v1/tasks/${finished}/shares`, { what: 'everything', expires: '1d' })
  const page = await open(server, `/tasks/${finished}`)
  await page.getByRole('button', { name: 'Share', exact: true }).click()
  await page.getByText('Links that hold').waitFor()
  await page.getByRole('button', { name: 'Make a link' }).click()
  await page.getByRole('textbox', { name: 'The link' }).waitFor()
  const rows = page.getByRole('dialog').getByRole('listitem')
  await rows.filter({ hasText: 'Everything' }).getByRole('button', { name: 'Take back' }).click()
  await expect.poll(() => rows.count()).toBe(1)
  await page.getByRole('textbox', { name: 'The link' }).waitFor()
  await rows.getByRole('button', { name: 'Take back' }).click()
  await page.getByRole('textbox', { name: 'The link' }).waitFor({ state: 'detached' })
  await done(page)
})

it('kept states and a shared task that could not be had are asked for again', async () => {
  const { path } = await server.post<{ path: string }>(`/v1/tasks/${finished}/shares`, { what: 'outputs', expires: '1d' })
  const page = await open(server, `/tasks/${finished}`)
  const mend = await refuse(page, /\/checkpoints$/, 'GET')
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('button', { name: 'Try it another way' }).click()
  await page.getByRole('dialog').getByRole('alert').waitFor()
  await mend()
  await page.getByRole('dialog').getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('textbox', { name: 'What should be done otherwise?' }).waitFor()
  const shared = /\/v1\/shared\/[^/]+$/
  const back = await refuse(page, shared, 'GET')
  await page.goto(server.site + path)
  await page.getByRole('alert').waitFor()
  await back()
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('heading', { name: 'Write some files' }).waitFor()
  await done(page)
})

it('folders stay as the person left them, and a chosen terminal until the agent is followed again', async () => {
  const typed = { name: 'shell_exec', arguments: { command: 'echo typed', terminal: 'main' } }
  const folders = (from: number, to: number) => sh(`for i in $(seq ${from} ${to}); do mkdir -p folder$i; echo $i > folder$i/inside$i.txt; done`)
  const id = await server.task(server.script({ calls: [folders(10, 15), typed] }, ask('One?'), { calls: [folders(16, 29), typed] }, ask('Two?')), 'Make folders')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('region', { name: 'Terminal main' }).waitFor()
  await page.getByRole('button', { name: 'Commands' }).click()
  await page.getByRole('region', { name: 'Terminal', exact: true }).waitFor()
  await page.getByRole('button', { name: 'Follow the agent' }).click()
  await page.getByRole('region', { name: 'Terminal main' }).waitFor()
  await page.getByRole('tab', { name: 'Files' }).click()
  await page.getByRole('button', { name: 'inside11.txt' }).waitFor()
  await page.getByText('folder12', { exact: true }).click()
  await page.getByRole('button', { name: 'inside12.txt' }).waitFor({ state: 'hidden' })
  await page.getByRole('textbox', { name: 'Your answer…' }).fill('yes')
  await page.keyboard.press('Enter')
  await page.getByText('folder29', { exact: true }).waitFor()
  expect(await page.getByRole('button', { name: 'inside11.txt' }).isVisible()).toBe(true)
  expect(await page.getByRole('button', { name: 'inside12.txt' }).isVisible()).toBe(false)
  await done(page)
})

it('a moment that never was is the end, and the task’s place in the list leads to the end, too', async () => {
  const page = await open(server, `/tasks/${finished}?at=99999`)
  await page.getByRole('textbox', { name: 'Say what should be done next…' }).waitFor()
  const past = page.getByText('You are looking at an earlier moment.')
  await page.getByRole('slider', { name: 'Moment' }).press('ArrowLeft')
  await past.waitFor()
  await page.getByRole('link', { name: /Write some files/ }).click()
  await past.waitFor({ state: 'detached' })
  expect(new URL(page.url()).search).toBe('')
  await done(page)
})

it('a task whose events are long in coming says so', async () => {
  const page = await open(server, '/settings/about')
  const events = await hold(page, /\/events\?/, 'GET')
  await page.getByRole('link', { name: /Write some files/ }).click()
  await events.comes()
  const loading = page.getByRole('log').getByText('Loading…')
  await loading.waitFor()
  await events.release(false)
  await page.getByText('Written.').waitFor()
  expect(await loading.count()).toBe(0)
  await done(page)
})

it('another way from here tells the time of the state that it begins with, not of the moment on screen', async () => {
  const id = await server.task(server.script({ calls: [sh('echo one > one.txt; sleep 2')] }, ask('One?')), 'Write slowly')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`)
  await page.route(/\/checkpoints$/, (route) => route.fulfill({ json: { checkpoints: [{ number: 7, at_seq: 1 }] } }))
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('button', { name: 'Try it another way' }).click()
  await page.getByRole('dialog').getByText('until 0:00, and with the files as they were then (checkpoint 7)').waitFor()
  await done(page)
})

it('files whose list is long in coming are not said to be none, nor gone', async () => {
  const page = await open(server, '/settings/about')
  const list = await hold(page, /\/files$/, 'GET')
  await page.getByRole('link', { name: /Write some files/ }).click()
  await page.getByRole('tab', { name: 'Files' }).click()
  await list.comes()
  const pane = page.getByRole('tabpanel', { name: 'Files' })
  await pane.getByText('Loading…').first().waitFor()
  expect(await pane.getByText(/is empty|not there now/).count()).toBe(0)
  await list.release()
  await pane.getByRole('button', { name: 'notes.txt', exact: true }).waitFor()
  expect(await pane.getByText('Loading…').count()).toBe(0)
  await done(page)
})

it('files are set back to a kept moment, listed anew, and forth again', async () => {
  const id = await server.task(server.script({ calls: [sh('echo one > one.txt')] }, { calls: [sh('echo two > two.txt; rm one.txt')] }, { say: 'Over.', calls: [{ name: 'idle' }] }), 'Write and remove')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('tab', { name: 'Files' }).click()
  const [one, two] = [page.getByRole('button', { name: 'one.txt', exact: true }), page.getByRole('button', { name: 'two.txt', exact: true })]
  await two.waitFor()
  const { checkpoints } = await server.get<{ checkpoints: { number: number }[] }>(`/v1/tasks/${id}/checkpoints`)
  const back = async (choose?: string) => {
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('button', { name: 'Set the files back' }).click()
    const moment = page.getByRole('dialog').getByLabel('Moment')
    if (choose) await moment.selectOption(choose)
    else expect(await moment.inputValue()).toBe(String(checkpoints.at(-2)?.number))
    await page.getByRole('dialog').getByRole('button', { name: 'Set back' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
  await back()
  await page.getByText(`You set the workspace back to checkpoint ${checkpoints.at(-2)?.number}`).waitFor()
  await one.waitFor()
  await two.waitFor({ state: 'detached' })
  await back(String(checkpoints.at(-1)?.number))
  await two.waitFor()
  await one.waitFor({ state: 'detached' })
  await done(page)
})

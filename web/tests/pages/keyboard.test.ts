// The whole app with Tab, Enter, Escape and the arrow keys alone: the order is the one on screen, the place is always to be seen, and
// it is never lost, whatever goes or is done.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import { closeBrowser, done, open, Server, sh } from './stage'

const server = new Server()
let finished = ''
let approving = ''

beforeAll(async () => {
  await server.start()
  await server.put('/v1/settings/models/openai:little', { base_url: 'http://127.0.0.1:1/v1' })
  await server.put('/v1/settings/models/openai:other', { base_url: 'http://127.0.0.1:1/v1' })
  const write = { name: 'file_write', arguments: { path: 'notes.md', content: '# Notes\n' } }
  finished = await server.task(
    server.script({ calls: [write, { name: 'file_write', arguments: { path: 'run.py', content: 'print("one")\n' } }, { name: 'file_write', arguments: { path: 'wide.csv', content: `${Array.from({ length: 40 }, (_, at) => `column ${at}`).join()}\n` } }, sh('echo here')] }, { calls: [{ name: 'deliver', arguments: { files: [{ path: 'notes.md' }] } }] }, { say: 'Done.', calls: [{ name: 'idle' }] }),
    'Write it down'
  )
  approving = await server.task(
    server.script(
      { calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write' }], acceptance: [{ text: 'It has ten rows' }] } }, write] },
      { calls: [{ name: 'deliver', arguments: { files: [{ path: 'notes.md' }], acceptance: [{ text: 'It has ten rows', status: 'failed', note: 'none' }], request_waiver: true } }] },
      { calls: [{ name: 'message_ask_user', arguments: { text: 'Anything else?' } }] }
    ),
    'Hand over although'
  )
  await Promise.all([server.until(finished, 'done'), server.until(approving, 'waiting')])
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

interface Stop {
  name: string
  /** All that it says. */
  text: string
  /** Beyond the last one: in the browser's own bar. */
  outside: boolean
  inOrder: boolean
  seen: boolean
}

/** Where the focus is: what it is called, whether it comes after the one before, and whether a person sees it. */
const stop = (page: Page): Promise<Stop> =>
  page.evaluate(() => {
    const node = document.activeElement as HTMLElement
    const known = window as unknown as { before: Element | null }
    const before = known.before
    known.before = node
    const name = (node.getAttribute('aria-label') ?? (node as HTMLInputElement).labels?.[0]?.innerText ?? node.innerText ?? '').trim().split('\n')[0] ?? ''
    const outlined = (at: Element) => ['', '::after'].some((part) => parseFloat(getComputedStyle(at, part).outlineWidth) > 0 && getComputedStyle(at, part).outlineStyle !== 'none')
    const ringed = (at: Element) => at.matches('.composer, .field') && getComputedStyle(at).boxShadow !== 'none'
    let marked = false
    for (let at: Element | null = node, up = 0; at && up < 4; at = at.parentElement, up++) marked ||= (up === 0 || at.matches('label, .search, .composer, .terminal')) && (outlined(at) || ringed(at))
    const { left, top, right, bottom } = node.getBoundingClientRect()
    const inWindow = right > 0 && bottom > 0 && left < window.innerWidth && top < window.innerHeight
    return {
      name,
      text: `${name} ${node.innerText.replace(/\s+/g, ' ')}`,
      outside: node === document.body,
      inOrder: !before || before === document.body || !before.isConnected || (before.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0,
      seen: marked && inWindow
    }
  })

/** Goes on with Tab until the browser's own bar: every place on the way is in order and can be seen. */
async function walk(page: Page, call: 'name' | 'text' = 'name'): Promise<string[]> {
  const names: string[] = []
  await page.evaluate(() => Object.assign(window, { before: null }))
  for (let times = 0; times < 120; times++) {
    await page.keyboard.press('Tab')
    const at = await stop(page)
    // Not every page lets the browser's own bar come between.
    if (at.outside || (names.length > 0 && at.name === FIRST)) return names
    expect([at.name, at.inOrder, at.seen]).toEqual([at.name, true, true])
    names.push(at[call])
  }
  throw new Error(`no way out after ${names.slice(-5).join(', ')}`)
}

const FIRST = 'Skip to the content'

const active = (page: Page) => stop(page).then(({ name, outside }) => (outside ? 'nowhere' : name))
const said = (page: Page) => stop(page).then(({ text, outside }) => (outside ? 'nowhere' : text))

/** Tabs on to what is called so. */
async function to(page: Page, name: RegExp): Promise<void> {
  for (let times = 0; times < 120; times++) {
    await page.keyboard.press('Tab')
    if (name.test(await said(page))) return
  }
  throw new Error(`there is no way to ${name}`)
}

it('home, a task and the settings: in order, seen, and with a way out', async () => {
  const page = await open(server)
  await page.locator('.list a').nth(1).waitFor()
  await page.getByRole('button', { name: 'Choose the model' }).getByText('little').waitFor()
  // A person is taken to where they write; what follows comes first, then all of it from the top.
  expect(await active(page)).toBe('What should be done?')
  expect(await walk(page)).toEqual(['Attach files', 'Choose the model', 'Budget', 'Network', 'A spreadsheet', 'A document', 'A picture', 'Watch a whole task being done'])
  const all = await walk(page)
  expect(all.slice(0, 5)).toEqual(['Skip to the content', 'Thenar', 'Hide the tasks', 'New task', 'Search tasks'])
  expect(all.slice(-10)).toEqual(['Settings', 'What should be done?', 'Attach files', 'Choose the model', 'Budget', 'Network', 'A spreadsheet', 'A document', 'A picture', 'Watch a whole task being done'])

  await to(page, /Write it down/)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: /Open notes.md/ }).waitFor()
  await page.getByRole('tab', { name: 'Files' }).waitFor()
  expect(await said(page)).toMatch(/Write it down/)
  const task = await walk(page, 'text')
  for (const name of ['Share', 'More', 'Open notes.md', 'Save notes.md', 'Say what should be done next…', 'Width of the conversation', 'Terminal', 'Moment']) expect([name, task.some((text) => text.includes(name))]).toEqual([name, true])

  await to(page, /^Settings Settings$/)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Models' }).waitFor()
  await page.getByRole('radio', { name: /openai:little/ }).waitFor()
  expect(await walk(page)).toContain('Add a model')
  for (const [link, heading] of [['Budget', 'Budget'], ['Hosts and secrets', 'Hosts and secrets'], ['Appearance', 'Appearance'], ['Notifications', 'Notifications'], ['About', 'About']] as const) {
    await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: link }).press('Enter')
    await page.getByRole('heading', { name: heading, exact: true }).waitFor()
    await walk(page)
  }
  await done(page)
})

it('the skip link leads past the tasks', async () => {
  const page = await open(server, '/settings/about')
  await page.getByRole('button', { name: 'Examine' }).waitFor()
  await page.keyboard.press('Tab')
  expect(await active(page)).toBe('Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  expect(await active(page)).toBe('Models')
  await done(page)
})

it('menus go up and down by the arrows, and what is chosen has the focus after', async () => {
  const page = await open(server)
  const opener = page.getByRole('button', { name: 'Choose the model' })
  await opener.getByText('little').waitFor()
  await opener.press('Enter')
  await page.getByRole('radio', { name: /openai:little/ }).waitFor()
  await page.keyboard.press('ArrowDown')
  expect(await said(page)).toMatch(/little/)
  await page.keyboard.press('ArrowDown')
  expect(await said(page)).toMatch(/other/)
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowUp')
  expect(await said(page)).toMatch(/other/)
  await page.keyboard.press('Enter')
  await opener.getByText('other').waitFor()
  await expect.poll(() => active(page)).toMatch(/Choose the model|other/)
  await done(page)
})

it('what is answered, stopped, resumed or removed does not lose the place', async () => {
  const page = await open(server, `/tasks/${approving}`)
  const allow = page.getByRole('button', { name: 'Allow' })
  await allow.press('Enter')
  await page.getByText('Anything else?').first().waitFor()
  await expect.poll(() => active(page)).toMatch(/May this be done/)
  await page.getByRole('button', { name: 'Stop' }).press('Enter')
  await page.getByRole('button', { name: 'Go on' }).waitFor()
  await expect.poll(() => active(page)).toBe('Go on')
  await page.getByRole('button', { name: 'More' }).press('Enter')
  await page.getByRole('button', { name: 'Remove the task' }).press('Enter')
  await page.getByRole('button', { name: 'Remove for good' }).press('Enter')
  await page.getByRole('heading', { name: 'What should be done?' }).waitFor()
  await expect.poll(() => active(page)).toBe('What should be done?')
  await done(page)
})

it('in code and in what scrolls sideways, letters and arrows lead nowhere else', async () => {
  const page = await open(server, `/tasks/${finished}`)
  await page.getByText('Done.', { exact: true }).first().waitFor()
  await page.getByRole('tab', { name: 'Files' }).click()
  await page.getByRole('button', { name: 'run.py', exact: true }).click()
  await page.locator('.cm-content').getByText('print').click()
  const past = page.getByText('You are looking at an earlier moment.')
  for (const key of ['n', '/', 'ArrowLeft', 'ArrowRight']) await page.keyboard.press(key)
  await expect.poll(() => page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.matches('.cm-content'))).toBe(true)
  expect([new URL(page.url()).pathname, await past.count()]).toEqual([`/tasks/${finished}`, 0])
  await page.getByRole('button', { name: 'wide.csv', exact: true }).click()
  const table = page.getByRole('region', { name: 'wide.csv' })
  await table.focus()
  const moved = () => table.evaluate((box) => box.scrollLeft)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await expect.poll(moved).toBeGreaterThan(0)
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await expect.poll(moved).toBe(0)
  expect(await past.count()).toBe(0)
  await done(page)
})

it('on a narrow screen the list of tasks is put away by its button and by Escape, and the place comes back', async () => {
  const page = await open(server, '/settings/about', { viewport: { width: 700, height: 800 } })
  const opener = page.getByRole('button', { name: 'Show the tasks' })
  const list = page.getByRole('navigation', { name: 'Tasks' })
  for (const away of [() => page.getByRole('button', { name: 'Hide the tasks' }).press('Enter'), () => page.keyboard.press('Escape')]) {
    await opener.press('Enter')
    await list.waitFor()
    await expect.poll(() => active(page)).toBe('Hide the tasks')
    await away()
    await list.waitFor({ state: 'hidden' })
    await expect.poll(() => active(page)).toBe('Show the tasks')
  }
  await page.setViewportSize({ width: 1440, height: 900 })
  await list.waitFor()
  await done(page)
})

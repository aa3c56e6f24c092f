// Every screen, as different people see it: light and dark, wide and on a phone, in English and in Chinese, by keyboard and
// by screen reader.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { closeBrowser, done, open, overflowing, plan, serious, Server, sh, small } from './stage'

const server = new Server()
let finished = ''
let asking = ''
let approving = ''
let everything = ''
let outcome = ''

beforeAll(async () => {
  await server.start()
  const steps = (first: string, second: string) => plan(['Count what is there', first], ['Hand it over', second])
  const accept = [{ text: 'It has ten rows', status: 'failed', note: 'it has two' }]
  finished = await server.task(
    server.script(
      { say: 'I will **count** first:\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n- `one`\n- [two](https://example.org/)\n\n> three', calls: [steps('in_progress', 'pending')] },
      { calls: [sh('printf "\\033[31mred\\033[0m \\033[32mgreen\\033[0m\\n"; exit 3'), { name: 'file_write', arguments: { path: 'notes.md', content: '# Notes\n\nAll of them.\n' } }, { name: 'file_write', arguments: { path: 'sub/run.py', content: 'print("one")\n' } }] },
      { calls: [{ name: 'deliver', arguments: { files: [{ path: 'notes.md', description: 'What was found' }] } }] },
      { say: 'Done.', calls: [steps('done', 'done'), { name: 'idle' }] }
    ),
    'Count everything, and write it down for somebody who was not there'
  )
  asking = await server.task(server.script({ calls: [{ name: 'message_ask_user', arguments: { text: 'Which one?' } }] }), 'Ask')
  approving = await server.task(
    server.script(
      { calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write' }], acceptance: [{ text: 'It has ten rows' }] } }, { name: 'file_write', arguments: { path: 'rows.csv', content: 'a,b\n1,2\n' } }] },
      { calls: [{ name: 'deliver', arguments: { files: [{ path: 'rows.csv' }], acceptance: accept, request_waiver: true } }] }
    ),
    'Hand over although'
  )
  await Promise.all([server.until(finished, 'done'), server.until(asking, 'waiting'), server.until(approving, 'waiting')])
  const share = async (what: string) => (await server.post<{ path: string }>(`/v1/tasks/${finished}/shares`, { what, expires: '1d' })).path
  everything = await share('everything')
  outcome = await share('outputs')
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const WIDE: BrowserContextOptions = {}
const DARK: BrowserContextOptions = { colorScheme: 'dark' }
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

/** Each screen: where it is, and what shows that it is there. */
const screens: [name: string, path: () => string, ready: (page: Page) => Promise<unknown>][] = [
  ['home', () => '/', (page) => page.locator('.list a').nth(2).waitFor({ state: 'attached' })],
  ['a finished task', () => `/tasks/${finished}`, (page) => page.getByText('1 file for you').waitFor()],
  ['a moment of it', () => `/tasks/${finished}?at=30`, (page) => page.getByText('You are looking at an earlier moment.').waitFor()],
  ['a question', () => `/tasks/${asking}`, (page) => page.getByText('Which one?').first().waitFor()],
  ['an approval', () => `/tasks/${approving}`, (page) => page.getByRole('button', { name: 'Allow' }).waitFor()],
  ['the record', () => `/tasks/${finished}/record`, (page) => page.getByText('The record is whole').waitFor()],
  ['settings: models', () => '/settings/models', (page) => page.getByText('There is none yet.').waitFor()],
  ['settings: budget', () => '/settings/budget', (page) => page.getByText('For every task that says nothing else').waitFor()],
  ['settings: network', () => '/settings/network', (page) => page.getByText('Hosts that every new task may reach').waitFor()],
  ['settings: about', () => '/settings/about', (page) => page.getByText('Is this machine able?').waitFor()],
  ['settings: appearance', () => '/settings/appearance', (page) => page.getByText('Light or dark').waitFor()],
  ['a link to everything', () => everything, (page) => page.getByText('1 file for you').waitFor()],
  ['a link to the outcome', () => outcome, (page) => page.getByText('1 file for you').waitFor()],
  ['a link that has ended', () => '/shared/none', (page) => page.getByRole('heading', { name: 'This link has ended' }).waitFor()],
  ['a task that is not there', () => '/tasks/none', (page) => page.getByText('To the first page').waitFor()]
]

describe.each([
  ['wide and light', WIDE],
  ['wide and dark', DARK],
  ['on a phone', PHONE]
])('%s', (_, options) => {
  it.each(screens)('%s: nothing serious, nothing beside the edge', async (_, path, ready) => {
    const page = await open(server, path(), options)
    await ready(page)
    expect(await serious(page)).toEqual([])
    expect(await page.evaluate(() => [document.documentElement.scrollWidth > window.innerWidth, document.documentElement.scrollHeight > window.innerHeight])).toEqual([false, false])
    expect(await overflowing(page)).toEqual([])
    if (options.isMobile) expect(await small(page)).toEqual([])
    await done(page)
  })
})

/** The same screens in Chinese: known by what stands in them whatever the language. */
const inChinese: [path: () => string, ready: string][] = [
  [() => '/', '要做什么？'],
  [() => `/tasks/${finished}`, '交给你 1 个文件'],
  [() => `/tasks/${finished}?at=30`, '你正在看较早的时刻。'],
  [() => `/tasks/${asking}`, '等你回应'],
  [() => `/tasks/${approving}`, 'rows.csv'],
  [() => `/tasks/${finished}/record`, '记录完整'],
  [() => everything, '交给你 1 个文件'],
  [() => '/settings/models', '还没有模型。'],
  [() => '/settings/budget', '步数'],
  [() => '/settings/about', 'Thenar'],
  [() => '/settings/appearance', '简体中文']
]

it('in Chinese, in the dark and on a phone: nothing serious, nothing beside the edge', async () => {
  for (const [path, ready] of inChinese) {
    const page = await open(server, path(), { ...PHONE, ...DARK, locale: 'zh-CN' })
    await page.getByText(ready).first().waitFor({ state: 'attached' })
    expect([path(), await serious(page), await overflowing(page)]).toEqual([path(), [], []])
    await done(page)
  }
})

it('what opens over a screen is as sound as the screen', async () => {
  const page = await open(server)
  for (const button of ['Choose the model', 'Budget']) {
    await page.getByRole('button', { name: button }).click()
    expect(await serious(page)).toEqual([])
    await page.keyboard.press('Escape')
  }
  await page.goto(`${server.url}/tasks/${finished}`)
  await page.getByRole('button', { name: 'Open notes.md' }).click()
  await page.getByRole('dialog').getByRole('heading', { name: 'Notes', exact: true }).waitFor()
  expect(await serious(page)).toEqual([])
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Share', exact: true }).click()
  await page.getByRole('button', { name: 'Make a link' }).click()
  await page.getByRole('textbox', { name: 'The link' }).waitFor()
  expect(await serious(page)).toEqual([])
  await page.keyboard.press('Escape')
  for (const item of ['Try it another way', 'Change the budget', 'Remove the task']) {
    await page.getByRole('button', { name: 'More' }).click()
    expect(await serious(page)).toEqual([])
    await page.getByRole('button', { name: item }).click()
    await page.getByRole('dialog').waitFor()
    expect(await serious(page)).toEqual([])
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
  await page.getByRole('button', { name: 'Write sub/run.py' }).click()
  await page.locator('.cm-content').waitFor()
  expect(await serious(page)).toEqual([])
  await done(page)
})

it('Chinese by the browser’s language', async () => {
  const page = await open(server, '/', { locale: 'zh-CN' })
  await page.getByRole('heading', { name: '要做什么？' }).waitFor()
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('zh-Hans')
  await page.goto(`${server.url}/tasks/${finished}`)
  await page.getByText('交给你 1 个文件').waitFor()
  expect(await serious(page)).toEqual([])
  await done(page)
})

it('what the server finds and refuses is said in Chinese, too', async () => {
  const page = await open(server, '/settings/about', { ...PHONE, locale: 'zh-CN' })
  await page.getByRole('button', { name: '检查' }).click()
  await page.getByText('可以在此运行任务').waitFor()
  const findings = await page.locator('.card li').allTextContents()
  expect(findings.length).toBeGreaterThan(20)
  expect(findings.filter((text) => !/\p{Script=Han}/u.test(text))).toEqual([])
  await page.getByText('给文件设置属主权限的调用被拒绝').waitFor()
  // However long the page gets, the ways to the others stay whole.
  expect((await page.getByRole('navigation', { name: '设置' }).boundingBox())?.height).toBeGreaterThan(36)
  await page.goto(`${server.url}/settings/network`)
  await page.locator('#usual-hosts').fill('a_b/c')
  await page.getByRole('button', { name: '保存', exact: true }).click()
  await page.getByText('“a_b/c” 不是主机的写法').waitFor()
  expect(await serious(page)).toEqual([])
  await done(page)
})

/** Waits until the page is dark: the look follows the choice a frame later. */
async function dark(page: Page): Promise<void> {
  await page.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(15, 20, 18)')
}

it('look and language are chosen, and stay chosen', async () => {
  const page = await open(server, '/settings/appearance')
  await page.getByText('Dark', { exact: true }).click()
  await dark(page)
  await page.getByText('简体中文').click()
  await page.getByRole('heading', { name: '外观' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: '外观' }).waitFor()
  await dark(page)
  await page.goto(`${server.url}/settings/budget`)
  await page.getByRole('group', { name: '此浏览器中新任务的初始预算' }).getByLabel('步数').fill('77')
  await page.goto(server.url)
  await page.getByRole('button', { name: /77 步/ }).waitFor()
  await done(page)
})

it('by keyboard alone: a new task, another task, back in time', async () => {
  const page = await open(server, `/tasks/${finished}`)
  await page.getByText('1 file for you').waitFor()
  await page.keyboard.press('n')
  await page.getByRole('heading', { name: 'What should be done?' }).waitFor()
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('TEXTAREA')
  await page.keyboard.type('line one')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('line two')
  expect(await page.getByRole('textbox', { name: 'What should be done?' }).inputValue()).toBe('line one\nline two')
  await page.locator('body').press('Tab')
  await page.evaluate(() => (document.activeElement as HTMLElement).blur())
  await page.keyboard.press('/')
  await page.waitForFunction(() => document.activeElement?.getAttribute('type') === 'search')
  await page.keyboard.type('everything')
  await page.keyboard.press('Tab')
  while ((await page.evaluate(() => document.activeElement?.getAttribute('href'))) !== `/tasks/${finished}`) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.getByText('1 file for you').waitFor()
  await page.getByRole('tab', { name: 'Terminal' }).focus()
  await page.keyboard.press('ArrowRight')
  expect(await page.getByRole('tab', { name: 'Browser' }).getAttribute('aria-selected')).toBe('true')
  await page.getByRole('slider').focus()
  await page.keyboard.press('ArrowLeft')
  await page.getByText('You are looking at an earlier moment.').waitFor()
  await page.keyboard.press('End')
  await page.getByText('You are looking at an earlier moment.').waitFor({ state: 'detached' })
  await done(page)
})

it('on a phone: the tasks lie over the rest, the computer is one touch away', async () => {
  const page = await open(server, `/tasks/${finished}`, PHONE)
  await page.getByText('1 file for you').waitFor()
  await page.getByRole('button', { name: 'Computer' }).tap()
  await page.getByRole('tab', { name: 'Terminal' }).waitFor()
  expect(await page.getByText('1 file for you').isVisible()).toBe(false)
  await page.getByRole('button', { name: 'Show the tasks' }).tap()
  await page.getByRole('link', { name: /^.*Ask/ }).first().tap()
  await page.getByText('Which one?').first().waitFor()
  await done(page)
})

it('on a phone: each pane of the computer, the list of tasks and a file are made for fingers, and an earlier moment is told in words', async () => {
  const page = await open(server, `/tasks/${finished}`, PHONE)
  await page.getByText('1 file for you').waitFor()
  await page.getByRole('button', { name: 'Open notes.md' }).tap()
  await page.getByRole('dialog').getByRole('heading', { name: 'Notes', exact: true }).waitFor()
  expect(await small(page)).toEqual([])
  await page.getByRole('button', { name: 'Close' }).tap()
  await page.getByRole('button', { name: 'Computer' }).tap()
  for (const name of ['Browser', 'Files', 'Network', 'Terminal']) {
    await page.getByRole('tab', { name }).tap()
    expect([name, await small(page), await overflowing(page)]).toEqual([name, [], []])
  }
  // Time has the width of the screen.
  expect((await page.getByRole('slider', { name: 'Moment' }).boundingBox())?.width).toBeGreaterThan(300)
  await page.getByRole('button', { name: 'Step back' }).tap()
  await page.getByRole('button', { name: 'Conversation' }).tap()
  const past = page.getByText('You are looking at an earlier moment.')
  await past.waitFor()
  expect((await past.boundingBox())?.height).toBeLessThan(50)
  expect(await small(page)).toEqual([])
  await page.getByRole('button', { name: 'Show the tasks' }).tap()
  await page.getByRole('link', { name: 'New task' }).waitFor()
  expect(await small(page)).toEqual([])
  await done(page)
})

it('a table with many columns keeps its words whole, and is moved by keys', async () => {
  const row = (cell: string) => `| ${Array.from({ length: 14 }, () => cell).join(' | ')} |`
  const id = await server.task(server.script({ say: [row('column'), row('---'), row('value')].join('\n'), calls: [{ name: 'idle' }] }), 'Make a wide table')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`, PHONE)
  const cell = page.getByRole('cell', { name: 'value' }).first()
  await cell.waitFor()
  expect((await cell.boundingBox())?.height).toBeLessThan(45)
  await expect.poll(() => page.locator('.markdown table').getAttribute('tabindex')).toBe('0')
  expect(await serious(page)).toEqual([])
  await done(page)
})

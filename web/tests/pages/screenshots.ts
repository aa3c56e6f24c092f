// Pictures of every screen, of a real run of the demo: `make screenshots`. Into tests/out; the best ones are kept in docs/images.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, it } from 'vitest'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { closeBrowser, open, PROGRAM, Server, sh } from './stage'

const out = fileURLToPath(new URL('../out/', import.meta.url))
const server = new Server()
let demo = ''
let shared = ''
let asking = ''
let running = ''
let browsing = ''
let approving = ''

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }
const DARK: BrowserContextOptions = { colorScheme: 'dark' }
const CHINESE: BrowserContextOptions = { locale: 'zh-CN' }

/** A page in the computer for its browser to show. */
const SHOP = sh(`cat > index.html <<'END'
<!doctype html><html lang="en"><title>Kettles</title><style>
body { margin: 0; background: #f7f4ef; color: #2b2622; font: 18px/1.5 sans-serif }
header { display: flex; justify-content: space-between; padding: 28px 56px; background: #fff }
h1 { margin: 0; font-size: 30px } main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 32px; padding: 48px 56px }
article { padding: 26px; border-radius: 16px; background: #fff } i { display: block; height: 220px; margin-bottom: 20px; border-radius: 12px }
b { display: block; font-size: 22px } button { margin-top: 18px; padding: 12px 22px; border: 0; border-radius: 10px; background: #2b2622; color: #fff; font: inherit }
</style><header><h1>Kettles</h1><span>Cart: 0</span></header><main>
<article><i style="background: #6f8fb3"></i><b>Blue, 1.2 l</b>54 dollars<br><button>Into the cart</button></article>
<article><i style="background: #c9764f"></i><b>Copper, 1 l</b>58 dollars<br><button>Into the cart</button></article>
<article><i style="background: #8d9a7b"></i><b>Olive, 1.5 l</b>49 dollars<br><button>Into the cart</button></article></main>
END
(python3 -m http.server 8000 --bind 127.0.0.1 >log 2>&1 &) ; for i in $(seq 100); do python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000')" 2>/dev/null && break; sleep 0.1; done`)

beforeAll(async () => {
  mkdirSync(out, { recursive: true })
  const env: NodeJS.ProcessEnv = { ...process.env, THENAR_HOME: join(server.home, 'data') }
  const ran = spawnSync(PROGRAM, ['demo'], { env, cwd: server.home, encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`the demo did not run: ${ran.stderr}`)
  demo = readdirSync(join(server.home, 'data/tasks'))[0] ?? ''
  await server.start()
  await server.put('/v1/settings/models/openai:qwen3', { base_url: 'http://127.0.0.1:11434/v1', api_key: 'none', input_price: 0, output_price: 0 })
  await server.put('/v1/settings/models/anthropic:claude-sonnet-4-5', { api_key: 'none', input_price: 3, output_price: 15 })
  await server.put('/v1/settings/hosts', { allow_net: ['pypi.org', 'files.pythonhosted.org'] })
  await server.put('/v1/secrets/GITHUB_TOKEN', { value: 'a value that no page is told', hosts: ['api.github.com'] })
  asking = await server.task(server.script({ calls: [{ name: 'message_ask_user', arguments: { text: 'Should the summary be for the **board** or for the **team**?' } }] }), 'Summarise the minutes of last week')
  running = await server.task(server.script({ calls: [{ name: 'shell_exec', arguments: { command: 'sleep 240' } }], repeat: 30 }), 'Sort the photos of the trip by place')
  browsing = await server.task(
    server.script({ calls: [SHOP] }, { calls: [{ name: 'browser_navigate', arguments: { url: 'http://127.0.0.1:8000/' } }] }, { calls: [{ name: 'message_ask_user', arguments: { text: 'Three of them are in stock. Shall I order the **blue** one?' } }] }),
    'Order a new kettle, at most 60 dollars'
  )
  approving = await server.task(
    server.script({ calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write the table' }], acceptance: [{ text: 'It has ten rows' }] } }, { name: 'file_write', arguments: { path: 'rows.csv', content: 'city,guests\nBern,2\n' } }] }, { calls: [{ name: 'deliver', arguments: { files: [{ path: 'rows.csv' }], acceptance: [{ text: 'It has ten rows', status: 'failed', note: 'it has two: the list names no more' }], request_waiver: true } }] }),
    'Make a table of the guests by city'
  )
  shared = (await server.post<{ path: string }>(`/v1/tasks/${demo}/shares`, { what: 'everything', expires: '1d' })).path
  await Promise.all([server.until(asking, 'waiting'), server.until(running, 'running'), server.until(browsing, 'waiting'), server.until(approving, 'waiting')])
}, 300_000)
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

/** The cards, with the first page of the PDF drawn. */
const cards = async (page: Page) => {
  const section = page.locator('section:has(> .files)')
  await section.evaluate((node) => node.scrollIntoView({ block: 'start' }))
  await section.locator('canvas').waitFor()
  await section.evaluate((node) => node.scrollIntoView({ block: 'start' }))
}

const settled = (page: Page) => page.waitForTimeout(1200)

const pictures: [name: string, path: () => string, options: BrowserContextOptions, act?: (page: Page) => Promise<unknown>][] = [
  ['home', () => '/', {}],
  ['home-dark', () => '/', DARK],
  ['home-zh', () => '/', CHINESE],
  ['home-phone', () => '/', PHONE],
  ['task', () => `/tasks/${demo}`, {}, cards],
  ['task-dark', () => `/tasks/${demo}`, DARK, cards],
  ['task-phone', () => `/tasks/${demo}`, PHONE],
  ['cards-phone', () => `/tasks/${demo}`, PHONE, cards],
  ['replay', () => `/tasks/${demo}?at=85`, {}],
  ['replay-zh-dark', () => `/tasks/${demo}?at=130`, { ...DARK, ...CHINESE }],
  ['files', () => `/tasks/${demo}`, {}, (page) => page.getByRole('tab', { name: 'Files' }).click()],
  ['preview', () => `/tasks/${demo}`, {}, (page) => page.getByRole('button', { name: 'Open report.html' }).click()],
  ['preview-pdf', () => `/tasks/${demo}`, {}, (page) => page.getByRole('button', { name: 'Open report.pdf' }).click()],
  ['preview-sheet', () => `/tasks/${demo}`, DARK, (page) => page.getByRole('button', { name: 'Open report.xlsx' }).click()],
  ['record', () => `/tasks/${demo}/record`, {}],
  ['shared', () => shared, {}],
  ['shared-phone-dark', () => shared, { ...PHONE, ...DARK }],
  ['share', () => `/tasks/${demo}`, {}, (page) => page.getByRole('button', { name: 'Share', exact: true }).click()],
  ['files-phone', () => `/tasks/${demo}`, PHONE, async (page) => {
    await page.getByRole('button', { name: 'Computer' }).tap()
    await page.getByRole('tab', { name: 'Files' }).tap()
  }],
  ['network', () => `/tasks/${demo}`, {}, (page) => page.getByRole('tab', { name: 'Network' }).click()],
  ['browser', () => `/tasks/${browsing}`, {}, (page) => page.getByRole('tab', { name: 'Browser' }).click()],
  ['browser-hand', () => `/tasks/${browsing}`, DARK, async (page) => {
    await page.getByRole('tab', { name: 'Browser' }).click()
    await page.getByRole('button', { name: 'Take over' }).click()
  }],
  ['asking', () => `/tasks/${asking}`, {}],
  ['running-phone', () => `/tasks/${running}`, PHONE],
  ['approval', () => `/tasks/${approving}`, {}],
  ['approval-phone-zh', () => `/tasks/${approving}`, { ...PHONE, ...CHINESE }],
  ['tasks-phone', () => '/', PHONE, (page) => page.getByRole('button', { name: 'Show the tasks' }).tap()],
  ['search', () => '/', {}, (page) => page.getByRole('searchbox').fill('report xlsx')],
  ['budget', () => '/', {}, (page) => page.getByRole('button', { name: 'Budget' }).click()],
  ['reach', () => '/', DARK, (page) => page.getByRole('button', { name: 'Network' }).click()],
  ['record-phone', () => `/tasks/${demo}/record`, PHONE],
  ['record-dark-zh', () => `/tasks/${demo}/record`, { ...DARK, ...CHINESE }],
  ['preview-phone', () => `/tasks/${demo}`, PHONE, (page) => page.getByRole('button', { name: 'Open report.html' }).click()],
  ['link-ended', () => '/shared/none', {}],
  ['no-task', () => '/tasks/none', {}],
  ['nowhere', () => '/none', {}],
  ['settings-network', () => '/settings/network', {}],
  ['settings-network-phone-dark', () => '/settings/network', { ...PHONE, ...DARK }],
  ['settings-secret', () => '/settings/network', {}, (page) => page.getByRole('button', { name: 'Replace' }).click()],
  ['settings-notifications-zh', () => '/settings/notifications', CHINESE],
  ['settings-phone', () => '/settings/models', PHONE],
  ['settings-add', () => '/settings/models', {}, (page) => page.getByRole('button', { name: 'Add a model' }).click()],
  ['settings-budget', () => '/settings/budget', {}],
  ['settings-about', () => '/settings/about', {}, async (page) => {
    await page.getByRole('button', { name: 'Examine' }).click()
    await page.getByText(/Tasks can(not)? be run here/).waitFor()
  }],
  ['settings-about-zh-phone-dark', () => '/settings/about', { ...PHONE, ...DARK, ...CHINESE }, async (page) => {
    await page.getByRole('button', { name: '检查' }).click()
    await page.getByText(/在此运行任务/).waitFor()
  }],
  ['tasks-zh-dark', () => '/', { ...DARK, ...CHINESE }],
  ['settings', () => '/settings/models', {}],
  ['settings-dark', () => '/settings/appearance', DARK]
]

it.each(pictures)('%s', async (name, path, options, act) => {
  const page = await open(server, path(), options)
  await settled(page)
  await act?.(page)
  if (act) await settled(page)
  await page.screenshot({ path: join(out, `${name}.png`), scale: 'css' })
  await page.context().close()
})

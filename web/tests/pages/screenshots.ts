// Pictures of every screen, of a real run of the demo: `make screenshots`. Into tests/out; the best ones are kept in docs/images.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, it } from 'vitest'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { closeBrowser, open, PROGRAM, Server } from './stage'

const out = fileURLToPath(new URL('../out/', import.meta.url))
const server = new Server()
let demo = ''
let shared = ''

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }
const DARK: BrowserContextOptions = { colorScheme: 'dark' }
const CHINESE: BrowserContextOptions = { locale: 'zh-CN' }

beforeAll(async () => {
  mkdirSync(out, { recursive: true })
  const env: NodeJS.ProcessEnv = { ...process.env, THENAR_HOME: join(server.home, 'data') }
  const ran = spawnSync(PROGRAM, ['demo'], { env, cwd: server.home, encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`the demo did not run: ${ran.stderr}`)
  demo = readdirSync(join(server.home, 'data/tasks'))[0] ?? ''
  await server.start()
  const asking = await server.task(server.script({ calls: [{ name: 'message_ask_user', arguments: { text: 'Should the summary be for the **board** or for the **team**?' } }] }), 'Summarise the minutes of last week')
  const running = await server.task(server.script({ calls: [{ name: 'shell_exec', arguments: { command: 'sleep 240' } }], repeat: 30 }), 'Sort the photos of the trip by place')
  shared = (await server.post<{ path: string }>(`/v1/tasks/${demo}/shares`, { what: 'everything', expires: '1d' })).path
  await Promise.all([server.until(asking, 'waiting'), server.until(running, 'running')])
}, 300_000)
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const settled = (page: Page) => page.waitForTimeout(1200)

const pictures: [name: string, path: () => string, options: BrowserContextOptions, act?: (page: Page) => Promise<unknown>][] = [
  ['home', () => '/', {}],
  ['home-dark', () => '/', DARK],
  ['home-zh', () => '/', CHINESE],
  ['home-phone', () => '/', PHONE],
  ['task', () => `/tasks/${demo}`, {}],
  ['task-dark', () => `/tasks/${demo}`, DARK],
  ['task-phone', () => `/tasks/${demo}`, PHONE],
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
  ['settings-add', () => '/settings/models', {}, (page) => page.getByRole('button', { name: 'Add a model' }).click()],
  ['settings-budget', () => '/settings/budget', {}],
  ['settings-about', () => '/settings/about', {}, async (page) => {
    await page.getByRole('button', { name: 'Examine' }).click()
    await page.getByText(/Tasks can(not)? be run here/).waitFor()
  }],
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

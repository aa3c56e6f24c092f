// Hosts and secrets: in the settings, and for a new task.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, overflowing, serious, Server } from './stage'

const server = new Server()

beforeAll(() => server.start(server.script({ say: 'Done.', calls: [{ name: 'idle' }] })))
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('usual hosts and secrets are set in the settings, and a value is never shown again', async () => {
  const page = await open(server, '/settings/network')
  const hosts = page.getByLabel('Hosts that every new task may reach')
  await page.getByText('No secret is kept.').waitFor()
  await hosts.fill('PyPI.org\nnot a host!')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('alert').getByText(/host!/).waitFor()
  await hosts.fill('PyPI.org, files.pythonhosted.org')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect.poll(() => hosts.inputValue()).toBe('pypi.org\nfiles.pythonhosted.org')

  await page.getByRole('button', { name: 'Keep a secret' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill('API_KEY')
  await dialog.getByLabel('Value').fill('sk-first-0123456789')
  await dialog.getByLabel('Hosts it may go to').fill('api.example.org')
  expect(await serious(page)).toEqual([])
  await dialog.getByRole('button', { name: 'Save' }).click()
  await page.getByText('api.example.org').waitFor()
  const kept = () => readFileSync(join(server.home, 'data/secrets.json'), 'utf8')
  expect(kept()).toContain('sk-first-0123456789')
  await page.getByRole('button', { name: 'Replace API_KEY' }).click()
  expect(await dialog.getByLabel('Value').inputValue()).toBe('')
  await dialog.getByLabel('Value').fill('sk-second-0123456789')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await dialog.waitFor({ state: 'detached' })
  expect([kept().includes('sk-first'), kept().includes('sk-second')]).toEqual([false, true])
  expect([await page.content(), JSON.stringify(await server.get('/v1/secrets'))].join()).not.toContain('sk-')
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  await done(page)
})

it('a task is given hosts and a secret, and shows what may be reached', async () => {
  const page = await open(server)
  const network = page.getByRole('button', { name: 'Network' })
  await network.getByText('2 hosts').waitFor()
  await network.click()
  const hosts = page.getByLabel('Hosts that its programs may reach')
  expect(await hosts.inputValue()).toBe('pypi.org, files.pythonhosted.org')
  await hosts.fill('example.net:8443')
  await page.getByRole('checkbox', { name: /API_KEY/ }).check()
  expect(await serious(page)).toEqual([])
  await page.keyboard.press('Escape')
  await network.getByText('1 host · 1 secret').waitFor()
  await page.getByRole('textbox', { name: 'What should be done?' }).fill('Ask the interface')
  await page.getByRole('button', { name: 'Begin' }).click()
  await page.getByText('Done.', { exact: true }).waitFor()
  await page.getByRole('tab', { name: 'Network' }).click()
  await page.locator('.named').getByText('example.net:8443').waitFor()
  await page.locator('.named').getByText('api.example.org').waitFor()
  expect(await page.locator('.named').innerText()).not.toContain('pypi.org')
  await done(page)

  // One that names nothing has what the settings say.
  const other = await open(server, '/', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: 'dark' })
  await other.getByRole('button', { name: 'Network' }).tap()
  await other.getByLabel('Hosts that its programs may reach').waitFor()
  expect(await serious(other)).toEqual([])
  expect(await overflowing(other)).toEqual([])
  await other.keyboard.press('Escape')
  await other.getByRole('textbox', { name: 'What should be done?' }).fill('Say one word')
  await other.getByRole('button', { name: 'Begin' }).click()
  await other.getByText('Done.', { exact: true }).waitFor()
  await other.getByRole('button', { name: 'Computer' }).tap()
  await other.getByRole('tab', { name: 'Network' }).tap()
  await other.locator('.named').getByText('pypi.org').waitFor()
  await done(other)
})

it('a secret is removed when it is said twice', async () => {
  const page = await open(server, '/settings/network')
  await page.getByRole('button', { name: 'Remove API_KEY' }).click()
  await page.getByRole('button', { name: 'Remove for good' }).click()
  await page.getByText('No secret is kept.').waitFor()
  expect(readFileSync(join(server.home, 'data/secrets.json'), 'utf8')).not.toContain('sk-')
  await done(page)
})

it.each([
  ['wide', {}],
  ['on a phone', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }]
])('however many hosts a task has, what was reached has room below them: %s', async (_, options) => {
  const allow_net = Array.from({ length: 60 }, (_, at) => `service-${at}.some-region.example.org`)
  const { id } = await server.post<{ id: string }>('/v1/tasks', { task: 'Reach many', model: server.script({ say: 'Done.', calls: [{ name: 'idle' }] }), allow_net })
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`, options)
  if ('isMobile' in options) await page.getByRole('button', { name: 'Computer' }).click()
  await page.getByRole('tab', { name: 'Network' }).click()
  await page.locator('.named').getByText('service-59.').waitFor()
  const place = await page.getByText('Nothing has asked for the network').boundingBox()
  expect((place?.y ?? 1e6) + (place?.height ?? 0)).toBeLessThan(page.viewportSize()?.height ?? 0)
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  await done(page)
})

// The network of a task's computer: what programs want to reach, who says so, and what of it is shown.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, overflowing, PATIENCE, serious, Server, sh } from './stage'

const server = new Server()

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('two hosts are asked about one after the other, and each request has its line', async () => {
  const fetches = 'curl -s http://one.invalid/ & curl -s http://two.invalid/ & wait; curl -s -o /dev/null http://10.0.0.1/; echo over'
  const id = await server.task(server.script({ calls: [sh(fetches)] }, { calls: [sh(fetches)] }, { say: 'That was all.', calls: [{ name: 'idle' }] }), 'Fetch three pages')
  const page = await open(server, `/tasks/${id}`)
  const questions = page.getByRole('region', { name: 'May this be done?' })
  await questions.nth(1).getByText(/\.invalid/).waitFor()
  // It follows to where the request is seen.
  await expect.poll(() => page.getByRole('tab', { name: 'Network' }).getAttribute('aria-selected')).toBe('true')
  await page.getByRole('cell', { name: /Waits for you/ }).nth(1).waitFor()
  const first = questions.filter({ has: page.getByRole('button', { name: 'Allow' }) })
  await first.getByText('port 80, not encrypted').waitFor()
  await first.getByText(/No other host is opened/).waitFor()
  expect(await first.count()).toBe(1)
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  const allowed = (await first.locator('.host b').innerText()).trim()
  const refused = allowed === 'one.invalid' ? 'two.invalid' : 'one.invalid'
  await first.getByRole('button', { name: 'Allow' }).click()
  await questions.filter({ hasText: refused }).getByRole('button', { name: 'Refuse' }).click()
  await page.getByText('That was all.').waitFor()

  const row = (host: string) => page.getByRole('row').filter({ hasText: host })
  await page.getByRole('tab', { name: 'Network' }).click()
  await row(allowed).getByText('No answer').waitFor()
  await row(allowed).getByText('egress.unresolved').waitFor()
  await row(refused).getByText('you said no').first().waitFor()
  await row('10.0.0.1').getByText('an address of this machine or of a private network').first().waitFor()
  expect(await serious(page)).toEqual([])
  await page.getByRole('searchbox', { name: 'Search hosts' }).fill('10.0')
  await expect.poll(() => page.getByRole('row').count()).toBe(3)
  // The network of the moment, like the rest.
  await page.getByRole('slider', { name: 'Moment' }).press('Home')
  await page.getByText('Nothing has asked for the network').waitFor()
  expect(await serious(page)).toEqual([])
  await done(page)

  const phone = await open(server, `/tasks/${id}`, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: 'dark' })
  await phone.getByText('That was all.').waitFor({ timeout: PATIENCE })
  await phone.getByRole('button', { name: 'Computer' }).tap()
  await phone.getByRole('tab', { name: 'Network' }).tap()
  await phone.getByRole('row').filter({ hasText: '10.0.0.1' }).first().waitFor()
  expect(await serious(phone)).toEqual([])
  expect(await overflowing(phone)).toEqual([])
  await done(phone)
})

// The network of a task's computer: what programs want to reach, who says so, and what of it is shown.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
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

it('hosts of a task at work are added and taken away, and what is open is cut', async () => {
  const site = createServer((request, response) => {
    if (request.url === '/hold') response.write('held\n')
    else response.end('hello\n')
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  const place = `shop.test:80=127.0.0.1:${(site.address() as AddressInfo).port}`
  const command = 'until curl -s http://shop.test/ | grep hello; do sleep 0.1; done; curl -sN http://shop.test/hold; echo over'
  const id = await server.task(server.script({ calls: [sh(command)] }, { say: 'That was all.', calls: [{ name: 'idle' }] }), 'Fetch a page')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('region', { name: 'May this be done?' }).getByText('shop.test').first().waitFor()
  await page.getByRole('tab', { name: 'Network' }).click()
  await page.getByText('No host was named for this task').waitFor()

  await page.getByRole('button', { name: 'Add a host' }).click()
  const field = page.getByRole('textbox', { name: 'Add a host' })
  await expect.poll(() => field.evaluate((input) => input === document.activeElement)).toBe(true)
  await field.fill('not a host!')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByRole('alert').getByText(/host!/).waitFor()
  expect(await serious(page)).toEqual([])
  await field.fill(place)
  await field.press('Enter')
  const named = page.getByRole('list', { name: 'May be reached:' })
  await named.getByText(place).waitFor()
  // The question about it is answered by that.
  await expect.poll(() => page.getByRole('button', { name: 'Allow' }).count()).toBe(0)
  await page.getByRole('cell', { name: /Open/ }).waitFor()
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])

  await page.getByRole('button', { name: `Take ${place} away` }).click()
  await page.getByText('That was all.').waitFor()
  await page.getByRole('cell', { name: /Cut off/ }).first().waitFor()
  await page.getByText('No host was named for this task').waitFor()
  await page.getByText('You took away all hosts').waitFor()
  // What was is not changed.
  await page.getByRole('slider', { name: 'Moment' }).press('Home')
  await expect.poll(() => page.getByRole('button', { name: 'Add a host' }).count()).toBe(0)
  await done(page)

  const phone = await open(server, `/tasks/${id}`, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: 'dark', locale: 'zh-CN' })
  await phone.getByRole('button', { name: '电脑' }).tap()
  await phone.getByRole('tab', { name: '网络' }).tap()
  await phone.getByRole('button', { name: '添加主机' }).tap()
  await phone.getByRole('textbox', { name: '添加主机' }).fill('pypi.org')
  expect(await serious(phone)).toEqual([])
  expect(await overflowing(phone)).toEqual([])
  await phone.getByRole('button', { name: '添加', exact: true }).tap()
  await phone.getByRole('button', { name: '收回 pypi.org' }).waitFor()
  await done(phone)
  site.closeAllConnections()
  site.close()
})

// The app over plain HTTP from another machine, as a team may use it in its own network: browsers keep much from such a page.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, ELSEWHERE, open, Server, sh } from './stage'

const server = new Server({ name: ELSEWHERE })

const model = server.script({ calls: [sh('echo here')] }, { calls: [{ name: 'message_ask_user', arguments: { text: 'Go on?' } }] })

beforeAll(() => server.start(model))
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('a task is begun, and its record is verified', async () => {
  const page = await open(server)
  expect(await page.evaluate(() => [isSecureContext, 'subtle' in crypto, 'randomUUID' in crypto])).toEqual([false, false, false])
  await page.getByRole('textbox', { name: 'What should be done?' }).fill('Say where you are')
  await page.getByRole('button', { name: 'Begin' }).click()
  await page.waitForURL(/\/tasks\//)
  await page.getByText('Go on?').first().waitFor()
  const id = page.url().split('/').at(-1) ?? ''

  await page.goto(`${server.site}/tasks/${id}/record`)
  await page.getByText('The record is whole').waitFor()
  await page.goto(`${server.site}/settings/notifications`)
  await page.getByText('They need HTTPS.').waitFor()
  expect(await page.getByRole('checkbox').isDisabled()).toBe(true)
  await done(page)
})

// Time, and what a person is told who is not looking: moments by key and by sight, every kind of file, notices, a line that broke.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isDrawn, pdf, PICTURE, sheet } from './samples'
import { closeBrowser, done, open, PATIENCE, plan, Server, sh } from './stage'

const server = new Server()

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const PAST = 'You are looking at an earlier moment.'

it('the arrow keys step through time wherever nobody writes, also beside a closed computer', async () => {
  const steps = (first: string, second: string) => plan(['Count up', first], ['Say so', second])
  const id = await server.task(server.script({ calls: [steps('in_progress', 'pending'), sh('echo one'), sh('echo two')] }, { calls: [steps('done', 'in_progress')] }, { say: 'Counted.', calls: [steps('done', 'done'), { name: 'idle' }] }), 'Count to two')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  await page.getByText('Counted.').waitFor()
  expect(await page.locator('.track i').count()).toBe(2)
  await page.getByRole('button', { name: 'Hide the computer' }).click()
  const slider = page.getByRole('slider', { name: 'Moment' })
  await slider.waitFor()
  const at = () => slider.inputValue().then(Number)
  const end = await at()
  await page.locator('body').press('ArrowLeft')
  await page.getByText(PAST).waitFor()
  await expect.poll(at, { timeout: PATIENCE }).toBeLessThan(end)
  // The task is over, whatever it was at the moment on screen.
  expect(await page.getByRole('button', { name: 'Back to live' }).count()).toBe(0)
  const before = await at()
  await page.locator('body').press('ArrowLeft')
  await expect.poll(at, { timeout: PATIENCE }).toBeLessThan(before)
  await page.locator('body').press('ArrowRight')
  await expect.poll(at, { timeout: PATIENCE }).toBe(before)
  // In a dialog and in a field they are the dialog's and the field's.
  await page.getByRole('button', { name: 'Share', exact: true }).click()
  await page.getByRole('radio', { name: 'Everything' }).press('ArrowLeft')
  await page.keyboard.press('Escape')
  await page.getByRole('searchbox').press('ArrowLeft')
  expect(await at()).toBe(before)
  await page.getByRole('button', { name: 'To the end' }).first().click()
  await page.getByText(PAST).waitFor({ state: 'detached' })
  await page.getByRole('textbox', { name: 'Say what should be done next…' }).press('ArrowLeft')
  expect(await at()).toBe(end)
  await done(page)
})

it('a picture, a PDF, a spreadsheet and code are shown as what they are', async () => {
  const files: [string, string][] = [
    ['dot.png', PICTURE],
    ['heron.pdf', pdf()],
    ['birds.xlsx', sheet()],
    ['count.py', Buffer.from('def count(birds):\n    return len(birds)\n').toString('base64')]
  ]
  const id = await server.task(server.script({ calls: files.map(([name, content]) => sh(`echo ${content} | base64 -d > ${name}`)) }, { calls: [{ name: 'deliver', arguments: { files: [{ path: 'dot.png' }, { path: 'count.py' }] } }] }, { say: 'Four kinds.', calls: [{ name: 'idle' }] }), 'Make four kinds of file')
  const page = await open(server, `/tasks/${id}`)
  await page.getByText('Four kinds.').waitFor()
  // The picture is on its card already.
  await expect.poll(() => page.locator('.card img').evaluateAll((all) => all.map((img) => (img as HTMLImageElement).naturalWidth)), { timeout: PATIENCE }).toEqual([2])
  await page.getByRole('button', { name: 'Open dot.png' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('img', { name: 'dot.png' }).waitFor()
  await dialog.getByRole('button', { name: 'count.py' }).click()
  await expect.poll(() => dialog.locator('.cm-content').innerText(), { timeout: PATIENCE }).toContain('def count')
  const colours = dialog.locator('.cm-line span')
  await expect.poll(async () => new Set(await colours.evaluateAll((all) => all.map((span) => getComputedStyle(span).color))).size, { timeout: PATIENCE }).toBeGreaterThan(1)
  await page.keyboard.press('Escape')
  // The rest among the computer's files.
  await page.getByRole('tab', { name: 'Files' }).click()
  const pane = page.getByRole('tabpanel')
  await pane.getByRole('button', { name: 'birds.xlsx' }).click()
  await pane.getByRole('cell', { name: 'Grey heron' }).waitFor()
  // One that takes its time: what was shown before is not taken for it.
  await page.route('**/files/heron.pdf', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await route.continue()
  })
  await pane.getByRole('button', { name: 'heron.pdf' }).click()
  await pane.locator('canvas').first().waitFor()
  await expect.poll(() => isDrawn(pane.locator('canvas').first()), { timeout: PATIENCE }).toBe(true)
  await done(page)
})

it('a file that the person chose stays while the agent writes others, and the agent is followed again on demand', async () => {
  const write = (path: string, content: string) => ({ name: 'file_write', arguments: { path, content } })
  const id = await server.task(
    server.script(
      { calls: [sh('echo High water at nine > tide.txt'), write('first.md', 'The first note')] },
      { calls: [sh('until [ -e go ]; do sleep 0.1; done')] },
      { calls: [write('second.md', 'The second note')] },
      { say: 'Two notes.', calls: [{ name: 'idle' }] }
    ),
    'Write two notes'
  )
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('tab', { name: 'Files' }).click()
  const pane = page.getByRole('tabpanel')
  await pane.getByText('The first note').waitFor()
  await pane.getByRole('button', { name: 'tide.txt' }).click()
  await pane.getByText('High water at nine').waitFor()
  writeFileSync(join(server.home, 'data', 'tasks', id, 'workspace', 'go'), '')
  await page.getByText('Two notes.').waitFor()
  await pane.getByRole('button', { name: 'second.md' }).waitFor()
  expect(await pane.getByText('High water at nine').isVisible()).toBe(true)
  await page.getByRole('button', { name: 'Follow the agent' }).click()
  await page.getByRole('tab', { name: 'Files' }).click()
  await pane.getByText('The second note').waitFor()
  await done(page)
})

it('a notice comes when a task waits and when it ends, to whoever looks elsewhere', async () => {
  const page = await open(server, '/', { permissions: ['notifications'] })
  await page.addInitScript(() => {
    const told: string[] = []
    Object.assign(window, { told })
    class Notice {
      static permission = 'granted'
      static requestPermission = () => Promise.resolve('granted')
      onclick: (() => void) | null = null
      constructor(title: string, { body }: { body: string }) {
        told.push(`${title} | ${body}`)
      }
    }
    Object.assign(window, { Notification: Notice })
    localStorage.setItem('thenar.notify', 'yes')
  })
  const model = server.script({ calls: [sh('echo one')] }, { calls: [{ name: 'message_ask_user', arguments: { text: 'Which heron?' } }] }, { say: 'Told.', calls: [{ name: 'idle' }] })
  const { id } = await server.post<{ id: string }>('/v1/tasks', { task: 'Tell me when', model, max_steps: 1 })
  await server.until(id, 'stopped')
  await page.reload()
  await page.getByRole('link', { name: /Tell me when/ }).waitFor()
  // On a slow line, looks that are asked for faster than they are answered still come one after the other.
  const looks = { now: 0, most: 0 }
  await page.route(/\/v1\/tasks(\?|$)/, async (way) => {
    looks.most = Math.max(looks.most, (looks.now += 1))
    await new Promise((done) => setTimeout(done, 300))
    await way.continue()
    looks.now -= 1
  })
  const told = () => page.evaluate(() => {
    // Looks at the list anew, as at the next time it would by itself.
    window.dispatchEvent(new Event('online'))
    return (window as unknown as { told: string[] }).told
  })
  await page.evaluate(() => Object.defineProperty(document, 'hidden', { get: () => true }))
  await server.post(`/v1/tasks/${id}/resume`, { max_steps: 9 })
  await expect.poll(told, { timeout: PATIENCE }).toEqual([expect.stringContaining('Which heron?')])
  await server.post(`/v1/tasks/${id}/messages`, { text: 'The grey one' })
  await expect.poll(told, { timeout: PATIENCE }).toEqual([expect.stringContaining('Which heron?'), expect.stringContaining('Tell me when')])
  expect(looks.most).toBe(1)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await done(page)
})

it('the first screen says that the line broke, and that it is back', async () => {
  const page = await open(server)
  await page.getByRole('link', { name: /Count to two/ }).waitFor()
  await server.kill()
  const lost = page.getByText('Connection lost – trying again')
  await lost.waitFor()
  await server.start()
  await lost.waitFor({ state: 'detached' })
  await done(page)
})

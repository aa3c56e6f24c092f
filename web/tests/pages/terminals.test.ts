// Watching a terminal, taking it over, typing in it and handing it back: a real shell before a real page.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, serious, Server } from './stage'

const server = new Server()
const typed = (command: string) => ({ name: 'shell_exec', arguments: { command, terminal: 'main' } })

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('a terminal is watched, taken over, typed into, resized and handed back with a note', async () => {
  // The agent works until the person has taken over; what it does then comes after the note.
  const model = server.script({ calls: [typed('echo "from the agent"; export WORD=hers')] }, { calls: [typed('until [ -e go ]; do sleep 0.1; done')] }, { calls: [typed('echo "word is $WORD" | tee word')] }, { say: 'Thank you.', calls: [{ name: 'idle' }] })
  const id = await server.task(model, 'Work in a terminal')
  const page = await open(server, `/tasks/${id}`)
  const screen = page.locator('.xterm-accessibility')
  await page.getByRole('region', { name: 'Terminal main' }).waitFor()
  await expect.poll(() => screen.textContent()).toContain('from the agent')
  await page.getByRole('button', { name: 'Take over' }).click()
  await page.getByText('You have this terminal.').waitFor()
  expect(await serious(page)).toEqual([])
  await page.locator('.xterm-helper-textarea').focus()
  // What runs is ended by hand, as at any terminal.
  await page.keyboard.press('Control+c')
  await page.keyboard.type('export WORD=mine; touch go; echo $((6 * 7)) wide: $(tput cols)')
  await page.keyboard.press('Enter')
  await expect.poll(() => screen.textContent()).toContain('42 wide: ')
  const wide = async () => Number(/42 wide: (\d+)/.exec((await screen.textContent()) ?? '')?.[1])
  const before = await wide()
  await page.setViewportSize({ width: 1100, height: 700 })
  await expect.poll(async () => (await server.get<{ columns: number }>(`/v1/tasks/${id}/terminals/main`)).columns).toBeLessThan(before)
  await page.getByRole('textbox', { name: 'A note for the agent' }).fill('WORD is mine now')
  await page.getByRole('button', { name: 'Hand back' }).click()
  await page.getByText('You handed back the terminal main').waitFor()
  await page.getByText('WORD is mine now').waitFor()
  await page.getByText('Thank you.').waitFor()
  await page.getByText('This terminal is closed.').waitFor()
  await expect.poll(() => screen.textContent()).toContain('word is mine')
  await page.getByRole('button', { name: 'Commands' }).click()
  await expect.poll(() => screen.textContent()).toContain('echo "word is $WORD"')
  await done(page)
})

// Watching the agent's browser, taking it over, clicking and typing in it, answering what a page asks, copying, and handing it back:
// a real Chromium before a page that a server in the computer serves.

import { mkdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, serious, Server, sh } from './stage'

const server = new Server()
const PAGE = `<title>Desk</title><style>body{margin:0}input{position:fixed;left:0;top:0;width:1000px;height:300px;font-size:60px}button{position:fixed;left:0;top:400px;width:1000px;height:300px}</style><input aria-label=Name><button onclick="document.title = confirm('Really?') ? 'Yes it is' : 'No'">Ask</button>`
const served = `cat > index.html <<'END'\n${PAGE}\nEND\n(python3 -m http.server 8000 --bind 127.0.0.1 >log 2>&1 &) ; for i in $(seq 100); do python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000')" 2>/dev/null && break; sleep 0.1; done`

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('the browser is watched, taken over, clicked, typed into and handed back with a note', async () => {
  const shots = process.env['SHOTS']
  if (shots) mkdirSync(shots, { recursive: true })
  const shot = async (name: string) => void (shots && (await page.screenshot({ path: `${shots}/${name}.png` })))
  // The agent works until the person has taken over; what it does then comes after the note.
  const model = server.script(
    { calls: [sh(served)] },
    { calls: [{ name: 'browser_navigate', arguments: { url: 'http://127.0.0.1:8000/' } }] },
    { calls: [{ name: 'message_ask_user', arguments: { text: 'Shall I go on?' } }] },
    { calls: [{ name: 'browser_view', arguments: {} }] },
    { say: 'Thank you.', calls: [{ name: 'idle' }] }
  )
  const id = await server.task(model, 'Work in the browser')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('tab', { name: 'Browser' }).click()
  const picture = page.getByRole('img', { name: "The page in the agent's browser: Desk" })
  await picture.waitFor()
  await page.getByText('http://127.0.0.1:8000/').first().waitFor()
  expect(await serious(page)).toEqual([])
  await shot('watching')
  await page.getByRole('button', { name: 'Take over' }).click()
  await page.getByText('You have this browser.').waitFor()
  const area = page.getByRole('textbox', { name: 'Keys for the page' })
  const box = async () => (await area.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
  const click = async (x: number, y: number) => {
    const { left, top } = await box().then((at) => ({ left: at.x + (at.width * x) / 1280, top: at.y + (at.height * y) / 800 }))
    await page.mouse.click(left, top)
  }
  await click(100, 100)
  await page.keyboard.type('Ada ')
  await page.keyboard.insertText('手')
  await page.keyboard.press('Control+a')
  await page.getByRole('button', { name: 'Copy what is selected' }).click()
  await expect.poll(async () => {
    await page.getByRole('button', { name: 'Copy what is selected' }).click()
    return await page.evaluate(() => navigator.clipboard.readText())
  }).toBe('Ada 手')
  await shot('mine')
  expect(await serious(page)).toEqual([])
  await click(100, 500)
  await page.getByText('Really?').waitFor()
  await page.getByRole('button', { name: 'OK', exact: true }).click()
  await page.getByText('Really?').waitFor({ state: 'detached' })
  await page.setViewportSize({ width: 390, height: 800 })
  await shot('phone')
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await shot('dark')
  await page.getByRole('textbox', { name: 'A note for the agent' }).fill('The name is in')
  await page.getByRole('button', { name: 'Hand back' }).click()
  await page.getByText('You handed back the browser').waitFor()
  await page.getByText('The name is in').waitFor()
  await server.post(`/v1/tasks/${id}/messages`, { text: 'Go on' })
  await page.getByText('Thank you.').waitFor()
  // What the agent saw stands in the record.
  await expect.poll(() => page.getByRole('region', { name: 'What the agent was told of the page' }).textContent()).toMatch(/Yes it is[^]*= Ada 手/)
  await shot('past')
  await done(page)
})

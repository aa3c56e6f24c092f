// Watching the agent's browser, taking it over, clicking and typing in it, answering what a page asks, copying, and handing it back:
// a real Chromium before a page that a server in the computer serves.

import { mkdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
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
  await page.getByRole('img', { name: 'The page as it was: Yes it is' }).waitFor()
  await page.getByText('What the agent was told of the page').click()
  await expect.poll(() => page.getByRole('region', { name: 'What the agent was told of the page' }).textContent()).toMatch(/Yes it is[^]*= Ada 手/)
  await shot('past')
  await done(page)
})

const COLOURS = { Red: [255, 0, 0], Green: [0, 128, 0], Blue: [0, 0, 255] } as const
type Colour = keyof typeof COLOURS

/** The colour in the middle of the picture that is shown, once there is one with this name. */
async function colour(page: Page, name: Colour): Promise<number[]> {
  const picture = page.getByRole('img', { name: `The page as it was: ${name}` })
  await picture.waitFor()
  return await picture.evaluate(async (image: HTMLImageElement) => {
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 1
    const context = canvas.getContext('2d')
    context?.drawImage(image, image.naturalWidth / 2, image.naturalHeight / 2, 1, 1, 0, 0, 1, 1)
    return [...(context?.getImageData(0, 0, 1, 1).data ?? [])].slice(0, 3)
  })
}

it('at every moment of the past the page is seen as it was, by the one who ran it and by a guest who may see everything', async () => {
  const coloured = (name: Colour) => `data:text/html,<title>${name}</title><body style="background:${name.toLowerCase()}">`
  const go = (url: string) => ({ calls: [{ name: 'browser_navigate', arguments: { url } }] })
  const turn = { calls: [{ name: 'browser_console_exec', arguments: { javascript: "document.title = 'Green'; document.body.style.background = 'green'; 1" } }] }
  // One that asks something is not pictured: what was before it is shown, and said to be.
  const asks = { calls: [{ name: 'browser_console_exec', arguments: { javascript: "setTimeout(() => confirm('Well?'), 0); 1" } }, { name: 'browser_view' }] }
  const model = server.script(go(coloured('Red')), turn, { calls: [sh('echo between')] }, go(coloured('Blue')), asks, { say: 'Seen.', calls: [{ name: 'idle' }] })
  const id = await server.task(model, 'Look at colours')
  await server.until(id, 'done')
  const { events } = await server.get<{ events: { seq: number; event: { event: string; result?: { facts?: { fact: string; page?: { title: string; picture?: object } }[] } } }[] }>(`/v1/tasks/${id}/events?limit=2000`)
  const seen = events.flatMap(({ seq, event }) => (event.result?.facts ?? []).flatMap(({ page }) => (page ? [{ seq, title: page.title as Colour, pictured: page.picture !== undefined }] : [])))
  expect(seen.filter(({ pictured }) => pictured).map(({ title }) => title).slice(0, 3)).toEqual(['Red', 'Green', 'Blue'])
  const asking = seen.find(({ pictured }) => !pictured)
  expect(asking?.title).toBe('Blue')
  const { path } = await server.post<{ path: string }>(`/v1/tasks/${id}/shares`, { what: 'everything', expires: '1h' })
  for (const where of [`/tasks/${id}`, path]) {
    const page = await open(server, where)
    await page.getByRole('tab', { name: 'Browser' }).click()
    const slider = page.getByRole('slider').first()
    const to = async (seq: number) => await slider.evaluate((input: HTMLInputElement, at) => ((input.value = String(at)), input.dispatchEvent(new Event('input', { bubbles: true }))), seq)
    // There is no way to what has not arrived.
    await expect.poll(() => slider.evaluate((input: HTMLInputElement) => Number(input.max))).toBeGreaterThanOrEqual(seen.at(-1)?.seq ?? 0)
    // There and back, past every picture.
    for (const { seq, title } of [...seen.filter(({ pictured }) => pictured), ...seen.filter(({ pictured }) => pictured).reverse()]) {
      await to(seq)
      const [red, green, blue] = await colour(page, title)
      COLOURS[title].forEach((wanted, at) => expect(Math.abs(wanted - ([red, green, blue][at] ?? -99)), `${title} at ${seq}`).toBeLessThan(12))
    }
    // A step elsewhere changes nothing, and before the first page there is none.
    await to((seen[1]?.seq ?? 0) + 5)
    await colour(page, 'Green')
    await to((seen[0]?.seq ?? 2) - 1)
    await page.getByText('No page is open.').waitFor()
    await to(asking?.seq ?? 0)
    await page.getByText('There is no picture of this very moment.').waitFor()
    await colour(page, 'Blue')
    expect(await serious(page)).toEqual([])
    await done(page)
  }
})

it('what was answered to one question of a page is not the answer to the next', async () => {
  const twice = served.replace(/onclick="[^"]*"/, `onclick="document.title = [prompt('Name?'), prompt('Name?')].join(' and ')"`)
  const model = server.script({ calls: [sh(twice)] }, { calls: [{ name: 'browser_navigate', arguments: { url: 'http://127.0.0.1:8000/' } }] }, { calls: [{ name: 'message_ask_user', arguments: { text: 'Shall I go on?' } }] })
  const id = await server.task(model, 'Work in the browser')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('tab', { name: 'Browser' }).click()
  await page.getByRole('button', { name: 'Take over' }).click()
  const area = page.getByRole('textbox', { name: 'Keys for the page' })
  await area.waitFor()
  const at = (await area.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
  await page.mouse.click(at.x + (at.width * 100) / 1280, at.y + (at.height * 500) / 800)
  const answer = page.getByRole('textbox', { name: 'Your answer', exact: true })
  const ok = page.getByRole('button', { name: 'OK', exact: true })
  await answer.fill('Ada')
  const first = await answer.elementHandle()
  // Twice, as somebody clicks who is used to it: the second is no answer to the question that comes next.
  await ok.evaluate((button) => {
    for (const _ of [1, 2]) (button as HTMLButtonElement).click()
  })
  // That one is asked in the same words, with a field of its own.
  await expect.poll(async () => (await answer.count()) === 1 && (await answer.evaluate((now, before) => now !== before, first))).toBe(true)
  expect(await answer.inputValue()).toBe('')
  await answer.fill('Grace')
  await ok.click()
  await page.getByRole('img', { name: /: Ada and Grace$/ }).waitFor()
  await done(page)
})

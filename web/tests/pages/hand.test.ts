// The person's hands in the agent's browser: a real Chromium before a page that tells its server of all that is done to it.

import { mkdirSync } from 'node:fs'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, overflowing, serious, Server, sh } from './stage'

const server = new Server()

const PAGE = `<!doctype html><title>Desk</title><style>
body { margin: 0; height: 4000px } body > * { position: fixed; left: 0; width: 800px; height: 80px; margin: 0; font-size: 50px }
input, p, a { box-sizing: border-box } </style>
<input id=name style="top:0" aria-label=Name>
<p id=words style="top:100px">Alpha Beta Gamma</p>
<input id=range type=range min=0 max=100 value=0 style="top:200px">
<p draggable=true style="top:600px; width:100px" ondragstart="event.dataTransfer.setData('text/plain', 'D')">D</p>
<p style="top:600px; left:400px; width:300px" ondragover="event.preventDefault()" ondrop="tell('dropped ' + event.dataTransfer.getData('text/plain'))">Here</p>
<a href="/other.html" style="top:300px">Other</a>
<input id=one type=file style="top:400px"><input id=many type=file multiple style="top:500px">
<script>
const tell = (what) => fetch('/tell?' + encodeURIComponent(what))
addEventListener('keydown', (event) => event.target.id === 'name' || tell('key ' + ['ctrlKey', 'altKey', 'shiftKey'].filter((held) => event[held]).join('+') + ' ' + event.key))
addEventListener('click', (event) => event.target.id === 'words' && tell('click ' + event.shiftKey + ' ' + event.ctrlKey))
addEventListener('dblclick', () => tell('double ' + getSelection()))
addEventListener('contextmenu', () => tell('menu'))
addEventListener('mouseup', () => setTimeout(() => tell('marked ' + getSelection())))
addEventListener('scroll', () => tell('scrolled ' + (scrollY > 300 ? 'far' : 'near')))
document.getElementById('name').addEventListener('input', (event) => tell('name ' + event.target.value))
range.addEventListener('input', () => tell('range ' + Math.round(range.value / 10)))
for (const field of [one, many]) field.addEventListener('change', async () => { for (const file of field.files) tell('file ' + file.name + ' ' + await file.text()) })
</script>`
const served = `cat > index.html <<'END'\n${PAGE}\nEND\necho '<title>Other</title><p>Elsewhere' > other.html; echo from the task > report.txt
(python3 -m http.server 8000 --bind 127.0.0.1 >log 2>&1 &) ; for i in $(seq 100); do python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000')" 2>/dev/null && break; sleep 0.1; done`

beforeAll(() => server.start())
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const shots = process.env['SHOTS']
if (shots) mkdirSync(shots, { recursive: true })
const shot = async (page: Page, name: string) => void (shots && (await page.screenshot({ path: `${shots}/${name}.png` })))

interface Desk {
  id: string
  page: Page
  /** Where a point of the agent's page is on the person's screen. */
  at(x: number, y: number): Promise<{ x: number; y: number }>
  /** All that its page has told its server. */
  told(): Promise<string>
  /** Waits until it has told this. */
  tells(what: string): Promise<void>
}

/** A browser at the page above, watched. */
async function watched(options: BrowserContextOptions = {}): Promise<Desk> {
  const model = server.script(
    { calls: [sh(served)] },
    { calls: [{ name: 'browser_navigate', arguments: { url: 'http://127.0.0.1:8000/' } }] },
    { calls: [{ name: 'message_ask_user', arguments: { text: 'Shall I go on?' } }] },
    { say: 'Thank you.', calls: [{ name: 'idle' }] }
  )
  const id = await server.task(model, 'Work in the browser')
  await server.until(id, 'waiting')
  const page = await open(server, `/tasks/${id}`, options)
  const aside = page.getByRole('button', { name: /^(Computer|电脑)$/ })
  const tab = page.getByRole('tab', { name: /^(Browser|浏览器)$/ })
  if (options.isMobile) await aside.click()
  await tab.click()
  const area = page.locator('.page textarea')
  const told = async () => {
    const answer = await fetch(`${server.url}/v1/tasks/${id}/files/log`, { headers: { authorization: `Bearer ${server.token}` } })
    return decodeURIComponent((await answer.text()).replaceAll(/%(?![0-9A-F]{2})/g, '%25'))
  }
  return {
    id,
    page,
    async at(x, y) {
      const box = (await area.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 }
      return { x: box.x + (box.width * x) / 1280, y: box.y + (box.height * y) / 800 }
    },
    told,
    tells: (what) => expect.poll(told).toContain(`/tell?${what}`)
  }
}

/** The same in the person's hands. */
async function takenOver(options: BrowserContextOptions = {}): Promise<Desk> {
  const desk = await watched(options)
  await desk.page.getByRole('button', { name: /^(Take over|接管)$/ }).click()
  await desk.page.locator('.page textarea').waitFor()
  return desk
}

it('mouse and keys do in the page what they do in any other', async () => {
  const { page, at, tells } = await takenOver()
  const click = async (x: number, y: number, options = {}) => {
    const to = await at(x, y)
    await page.mouse.click(to.x, to.y, options)
  }
  // A word by two clicks, all of a paragraph by three; the other button; keys that are held.
  await click(60, 140, { clickCount: 2 })
  await tells('double Alpha')
  await click(60, 140, { button: 'right' })
  await tells('menu')
  await page.keyboard.down('Shift')
  await click(300, 140)
  await page.keyboard.up('Shift')
  await tells('click true false')
  await page.keyboard.down('Control')
  await click(300, 140)
  await page.keyboard.up('Control')
  await tells('click false true')
  // Drawn along: text is marked, a slider follows.
  const drag = async (from: [number, number], to: [number, number]) => {
    const [start, end] = [await at(...from), await at(...to)]
    await page.mouse.move(start.x, start.y)
    await page.mouse.down()
    await page.mouse.move((start.x + end.x) / 2, (start.y + end.y) / 2)
    await page.mouse.move(end.x, end.y)
    await page.mouse.move(end.x + 1, end.y)
    await page.mouse.up()
  }
  await drag([2, 140], [450, 140])
  await tells('marked Alpha Beta Gamma')
  await drag([8, 240], [400, 240])
  await tells('range 5')
  await drag([50, 640], [500, 640])
  await tells('dropped D')
  await page.mouse.wheel(0, 800)
  await tells('scrolled far')
  await page.mouse.wheel(0, -800)
  await tells('scrolled near')
  // Keys with and without others, Tab among them.
  await click(60, 140)
  for (const key of ['Control+Shift+ArrowLeft', 'Alt+q', 'Escape', 'F2', 'PageDown']) await page.keyboard.press(key)
  for (const key of ['ctrlKey+shiftKey ArrowLeft', 'altKey q', ' Escape', ' F2', ' PageDown']) await tells(`key ${key}`)
  await click(300, 40)
  await page.keyboard.type('Hello you')
  await tells('name Hello you')
  for (const key of ['Backspace', 'Backspace', 'ArrowLeft', 'Home', 'Delete', 'j']) await page.keyboard.press(key)
  await tells('name jello y')
  await page.keyboard.press('Control+a')
  await page.keyboard.press('Control+x')
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe('jello y')
  await page.keyboard.press('Control+v')
  await page.keyboard.press('Control+a')
  await page.keyboard.press('Control+c')
  await page.getByText('Copied').waitFor()
  await page.keyboard.press('End')
  // From this clipboard, by the keys; from the button; and where there is no clipboard to ask, by a field.
  await page.evaluate(() => navigator.clipboard.writeText('éß手\nline'))
  await page.keyboard.press('Control+v')
  await tells('name jello yéß手')
  await page.getByRole('button', { name: 'Paste' }).click()
  await tells('name jello yéß手 lineéß手')
  await page.keyboard.press('Tab')
  await page.keyboard.press('ArrowRight')
  await tells('key  ArrowRight')
  await done(page)
})

it('where there is no clipboard to ask, what is pasted comes by the keys or by a field', async () => {
  const { page, at, tells } = await takenOver()
  // As on a page that came over plain HTTP from another machine.
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }))
  const name = await at(300, 40)
  await page.mouse.click(name.x, name.y)
  await page.evaluate(() => {
    const copied = document.createElement('textarea')
    copied.value = 'from the keys'
    document.body.append(copied)
    copied.select()
    document.execCommand('copy')
    copied.remove()
  })
  await page.locator('.page textarea').focus()
  await page.keyboard.press('Control+v')
  await tells('name from the keys')
  await page.keyboard.press('Control+a')
  await page.getByRole('button', { name: 'Paste' }).click()
  await page.getByRole('textbox', { name: 'Text to put in' }).fill('from the field')
  await page.getByRole('button', { name: 'Put in' }).click()
  await tells('name from the field')
  await page.keyboard.press('Control+a')
  await page.getByRole('button', { name: 'Copy what is selected' }).click()
  await page.getByText('Copied').waitFor()
  await page.locator('.page textarea').focus()
  await page.keyboard.press('End')
  await page.keyboard.press('Control+v')
  await tells('name from the fieldfrom the field')
  await done(page)
})

it('an input method writes into the page letter by letter', async () => {
  const { page, at, tells } = await takenOver()
  const name = await at(300, 40)
  await page.mouse.click(name.x, name.y)
  const line = await page.context().newCDPSession(page)
  await line.send('Input.imeSetComposition', { text: 'shou', selectionStart: 4, selectionEnd: 4 })
  await tells('name shou')
  await line.send('Input.imeSetComposition', { text: 'shouzhang', selectionStart: 9, selectionEnd: 9 })
  await tells('name shouzhang')
  await line.send('Input.insertText', { text: '手掌' })
  await tells('name 手掌')
  await page.keyboard.press('Backspace')
  await tells('name 手 ')
  await done(page)
})

it('a person goes to an address, back, forward, and from tab to tab; where the task may not go they are asked', async () => {
  const { id, page, at } = await takenOver()
  const address = page.getByRole('textbox', { name: 'Address' })
  const is = (wanted: string) => expect.poll(() => address.inputValue()).toBe(wanted)
  const go = async (to: string) => {
    await address.fill(to)
    await address.press('Enter')
  }
  await is('http://127.0.0.1:8000/')
  await go('127.0.0.1:8000/other.html')
  await is('http://127.0.0.1:8000/other.html')
  // The keys are the page's again.
  await expect.poll(() => page.evaluate(() => document.activeElement?.matches('.page textarea'))).toBe(true)
  await page.getByRole('button', { name: 'Back', exact: true }).click()
  await is('http://127.0.0.1:8000/')
  await page.getByRole('button', { name: 'Forward', exact: true }).click()
  await is('http://127.0.0.1:8000/other.html')
  await page.getByRole('button', { name: 'Load again' }).click()
  await go('how to cook')
  await page.getByText('is no address that can be opened').waitFor()
  expect(await address.inputValue()).toBe('how to cook')
  await address.press('Escape')
  await is('http://127.0.0.1:8000/other.html')
  await page.getByRole('button', { name: 'Back', exact: true }).click()
  await is('http://127.0.0.1:8000/')
  // A link with Control opens a tab of its own.
  const link = await at(60, 340)
  await page.keyboard.down('Control')
  await page.mouse.click(link.x, link.y)
  await page.keyboard.up('Control')
  const tabs = page.getByRole('group', { name: 'Tabs' })
  await tabs.locator('[aria-pressed=false]').click()
  await is('http://127.0.0.1:8000/other.html')
  await page.getByRole('button', { name: 'New tab' }).click()
  await is('')
  expect(await serious(page)).toEqual([])
  await shot(page, 'tabs')
  await tabs.getByRole('button', { name: /^Close / }).last().click()
  await expect.poll(() => tabs.getByRole('button', { name: /^Close / }).count()).toBe(2)
  await tabs.getByRole('button', { name: /^Close / }).last().click()
  await tabs.waitFor({ state: 'detached' })
  await is('http://127.0.0.1:8000/')
  await go('http://elsewhere.test/')
  await expect.poll(async () => (await server.get<{ question?: string }>(`/v1/tasks/${id}/confirm`)).question ?? '').toContain('elsewhere.test:80')
  await done(page)
})

it('a page that asks for files gets the task’s, or the person’s own', async () => {
  const { page, at, tells } = await takenOver()
  const ask = async (y: number) => {
    const field = await at(60, y)
    await page.mouse.click(field.x, field.y)
  }
  await ask(440)
  const form = page.getByRole('form', { name: 'The page asks for a file' })
  await form.getByRole('combobox', { name: 'Files of the task' }).selectOption('report.txt')
  expect(await serious(page)).toEqual([])
  await shot(page, 'files')
  await form.getByRole('button', { name: 'Give' }).click()
  await tells('file report.txt from the task')
  await form.waitFor({ state: 'detached' })
  await ask(540)
  await page.getByLabel('From this device…').and(page.locator('input')).setInputFiles([
    { name: 'one.txt', mimeType: 'text/plain', buffer: Buffer.from('the first') },
    { name: '二.txt', mimeType: 'text/plain', buffer: Buffer.from('the second') }
  ])
  await tells('file one.txt the first')
  await tells('file 二.txt the second')
  // The page has its room again.
  await form.waitFor({ state: 'detached' })
  await ask(440)
  await form.getByRole('button', { name: 'Cancel' }).click()
  await form.waitFor({ state: 'detached' })
  await done(page)
})

it('keys alone lead into the page and out of it again', async () => {
  const { page } = await watched()
  await page.getByRole('button', { name: 'Take over' }).focus()
  await page.keyboard.press('Enter')
  const area = page.locator('.page textarea')
  await area.waitFor()
  const has = (selector: string) => expect.poll(() => page.evaluate((selector) => document.activeElement?.matches(selector), selector)).toBe(true)
  await has('.page textarea')
  // Tab is the page's. How to leave is on the screen, and said with the field.
  await page.keyboard.press('Tab')
  await has('.page textarea')
  await page.getByText('Shift+F6 leaves it').waitFor()
  expect(await area.evaluate((area) => document.getElementById(area.getAttribute('aria-describedby') ?? '')?.textContent)).toBe('Shift+F6 leaves it')
  await page.keyboard.press('Shift+F6')
  await has('[aria-label="A note for the agent"]')
  await page.keyboard.type('All yours')
  await page.keyboard.press('Enter')
  await page.getByText('You handed back the browser').waitFor()
  await page.getByText('All yours').waitFor()
  await done(page)
})

it('a line that is lost is told and comes again by itself, with the browser still in hand', async () => {
  const { page, at, tells } = await takenOver()
  const name = await at(300, 40)
  await page.mouse.click(name.x, name.y)
  await page.keyboard.type('before')
  await tells('name before')
  await server.kill()
  await page.getByText('The connection is lost; it is tried again').first().waitFor()
  // What is typed now goes nowhere, and that is told.
  await page.keyboard.type('x')
  await page.getByRole('alert').first().waitFor()
  await server.start()
  await page.getByText('You have this browser.').waitFor()
  await expect.poll(() => page.locator('.live [role=alert]').count()).toBe(0)
  await page.locator('.page textarea').focus()
  await page.keyboard.type(' and after')
  await tells('name before and after')
  // Where it goes is answered for again.
  const address = page.getByRole('textbox', { name: 'Address' })
  await address.fill('127.0.0.1:8000/other.html')
  await address.press('Enter')
  await expect.poll(() => address.inputValue()).toBe('http://127.0.0.1:8000/other.html')
  await done(page)
})

it('who has the browser open in a second window is told at once that another one has it', async () => {
  const { id, page, at, tells } = await takenOver()
  const other = await open(server, `/tasks/${id}`)
  await other.getByText('You have this browser in another window.').waitFor()
  await page.getByText('You have this browser. The agent waits').waitFor()
  // It can look, and has nothing to act with.
  await other.locator('.page img').waitFor()
  expect(await other.locator('.page textarea').count()).toBe(0)
  expect(await serious(other)).toEqual([])
  const name = await at(300, 40)
  await page.mouse.click(name.x, name.y)
  await page.keyboard.type('mine')
  await tells('name mine')
  // It is handed back there, and taken over anew.
  await other.getByRole('button', { name: 'Hand back' }).click()
  await page.getByRole('button', { name: 'Take over' }).waitFor()
  await done(other)
  await done(page)
})

/** Fingers on the screen, each as a list of the places it comes through; all at once. */
async function strokes(page: Page, ...fingers: { x: number; y: number }[][]): Promise<void> {
  const line = await page.context().newCDPSession(page)
  const points = (nth: number) => fingers.map((places, id) => ({ ...(places[Math.min(nth, places.length - 1)] ?? { x: 0, y: 0 }), id }))
  await line.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: points(0) })
  const most = Math.max(...fingers.map((places) => places.length))
  for (let nth = 1; nth < most; nth++) await line.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: points(nth) })
  await line.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  await line.detach()
}

it('on a phone, fingers tap, scroll, drag and enlarge, and a row of keys stands for the keyboard', async () => {
  const { page, at, tells } = await takenOver({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true, locale: 'zh-CN', colorScheme: 'dark' })
  const area = page.locator('.page textarea')
  const tap = async (x: number, y: number) => {
    const to = await at(x, y)
    await page.touchscreen.tap(to.x, to.y)
  }
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  await shot(page, 'phone')
  await tap(300, 140)
  await tells('click false false')
  await tap(60, 140)
  await tap(60, 140)
  await tells('double Alpha')
  await strokes(page, await Promise.all([at(900, 700), at(900, 500), at(900, 100)]))
  await tells('scrolled far')
  await strokes(page, await Promise.all([at(900, 100), at(900, 500), at(900, 700)]))
  await tells('scrolled near')
  // The keyboard comes when it is asked for, and not with each tap.
  expect(await area.getAttribute('inputmode')).toBe('none')
  await tap(300, 40)
  await page.getByRole('button', { name: '键盘' }).tap()
  expect(await area.getAttribute('inputmode')).toBe('text')
  await expect.poll(() => page.evaluate(() => document.activeElement?.matches('.page textarea'))).toBe(true)
  await page.keyboard.insertText('hello')
  await tells('name hello')
  // A phone's keyboard says what it deletes, not which key it was.
  await area.evaluate((area: HTMLTextAreaElement) => document.execCommand('delete') && area.value)
  await tells('name hell ')
  const keys = page.getByRole('group', { name: '更多按键' })
  await keys.getByRole('button', { name: '左' }).tap()
  await keys.getByRole('button', { name: '退格' }).tap()
  await tells('name hel ')
  await keys.getByRole('button', { name: 'Ctrl' }).tap()
  await page.keyboard.insertText('a')
  await page.keyboard.insertText('bye')
  await tells('name bye')
  for (const button of await page.locator('.live button, .live input[type=text]').all()) {
    const { width = 0, height = 0 } = (await button.boundingBox()) ?? {}
    expect(Math.min(width, height), await button.evaluate((node) => node.outerHTML)).toBeGreaterThanOrEqual(43.5)
  }
  // A keyboard that takes half of the screen leaves room for the page.
  await page.setViewportSize({ width: 390, height: 430 })
  await expect.poll(async () => (await area.boundingBox())?.height ?? 0).toBeGreaterThan(150)
  expect(await overflowing(page)).toEqual([])
  await shot(page, 'phone-typing')
  await page.setViewportSize({ width: 390, height: 800 })
  // Two fingers draw the picture larger, and a button does; where it is tapped is still what is seen there.
  const wide = async () => (await area.boundingBox())?.width ?? 0
  const before = await wide()
  const middle = await at(60, 140)
  await strokes(page, [{ x: middle.x + 20, y: middle.y }, { x: middle.x + 80, y: middle.y }, { x: middle.x + 120, y: middle.y }], [{ x: middle.x, y: middle.y + 20 }, { x: middle.x, y: middle.y + 20 }])
  await expect.poll(wide).toBeGreaterThan(before * 1.5)
  await shot(page, 'phone-large')
  await tap(60, 340)
  await expect.poll(() => page.getByRole('textbox', { name: '网址' }).inputValue()).toBe('http://127.0.0.1:8000/other.html')
  await page.getByRole('button', { name: '放大' }).tap()
  await expect.poll(wide).toBe(before)
  await page.getByRole('button', { name: '后退', exact: true }).tap()
  await expect.poll(() => page.getByRole('textbox', { name: '网址' }).inputValue()).toBe('http://127.0.0.1:8000/')
  await done(page)
})

it('a long press takes hold of a slider, and let go at once it is the other button', async () => {
  const { page, at, tells } = await takenOver({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true })
  const line = await page.context().newCDPSession(page)
  const touch = async (type: 'touchStart' | 'touchMove' | 'touchEnd', ...points: { x: number; y: number }[]) => void (await line.send('Input.dispatchTouchEvent', { type, touchPoints: points }))
  const holds = () => page.locator('.page textarea.holding').waitFor()
  await touch('touchStart', await at(60, 140))
  await holds()
  await touch('touchEnd')
  await tells('menu')
  await touch('touchStart', await at(8, 240))
  await holds()
  await touch('touchMove', await at(200, 240))
  await touch('touchMove', await at(400, 240))
  await touch('touchEnd')
  await tells('range 5')
  await done(page)
})

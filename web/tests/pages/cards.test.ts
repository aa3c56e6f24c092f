// The cards of what was handed over: each shows how its file begins, and a large file is not fetched for that.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BrowserContextOptions, Response } from 'playwright-core'
import { base64, isDrawn, pdf, PICTURE, sheet } from './samples'
import { closeBrowser, done, open, overflowing, PATIENCE, serious, Server, sh } from './stage'

const server = new Server({ toolset: true })
let id = ''
let link = ''

/** Makes a table of 200,000 rows, and puts two megabytes that no page needs into the PDF. */
const LARGE = `
with open("rows.csv", "w") as f:
    print("Bird,Count,Note", file=f)
    for at in range(200_000): print(f"Heron {at},{at * 7},seen", file=f)
import datetime, random, openpyxl
book = openpyxl.Workbook(write_only=True)
sheet = book.create_sheet("Days")
sheet.append(["Day", "Bird", "Count", "Share", "Seen & heard"])
random.seed(1)
for at in range(60_000): sheet.append([datetime.date(2024, 1, 1) + datetime.timedelta(days=at % 300), f"Heron {at}", at * 7, random.random(), at % 2 == 0])
book.save("days.xlsx")
with open("long.html", "w") as f:
    f.write("<!doctype html><html lang='en'><title>Long</title><style>h1 {color: red}</style><h1>The first of many</h1>")
    for at in range(40_000): f.write(f"<p>paragraph {at} with some words in it</p>")
    f.write("<p>the very last</p></html>")
pdf = open("heron.pdf", "rb").read()
at, more = pdf.index(b"xref"), b"6 0 obj<</Length 2000000>>stream\\n" + b"x" * 2_000_000 + b"\\nendstream endobj\\n"
open("heron.pdf", "wb").write(pdf[:at] + more + pdf[at:].replace(b"startxref\\n%d" % at, b"startxref\\n%d" % (at + len(more))))
`
const PAGE = '<!doctype html><html lang="en"><title>Report</title><h1>Figures</h1><script>document.body.append("a script ran")</script></html>'

beforeAll(async () => {
  await server.start()
  const files: [name: string, content: string][] = [
    ['dot.png', PICTURE],
    ['heron.pdf', pdf()],
    ['birds.xlsx', sheet()],
    ['count.py', base64('def count(birds):\n    return len(birds)\n')],
    ['notes.md', base64('# Notes\n\n- **three** [figures](https://example.org/)\n')],
    ['report.html', base64(PAGE)],
    ['all.bin', base64('\0\x01\x02')],
    ['torn.txt', base64('soon torn')]
  ]
  const put = files.map(([name, content]) => sh(`echo ${content} | base64 -d > ${name}`))
  const all = [...files.map(([name]) => name), 'rows.csv', 'days.xlsx', 'long.html']
  id = await server.task(
    server.script(
      { calls: [...put, { name: 'file_write', arguments: { path: 'large.py', content: LARGE } }, sh('python3 large.py')] },
      { calls: [{ name: 'deliver', arguments: { files: all.map((path) => ({ path })) } }] },
      { say: 'All kinds.', calls: [{ name: 'idle' }] }
    ),
    'Make every kind of file'
  )
  await server.until(id, 'done')
  // What is no text any more, whatever its name says.
  writeFileSync(join(server.home, 'data/tasks', id, 'deliverables/torn.txt'), '\0\x01\x02')
  link = (await server.post<{ path: string }>(`/v1/tasks/${id}/shares`, { what: 'outputs', expires: '1d' })).path
})
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const views: [name: string, path: () => string, options: BrowserContextOptions][] = [
  ['wide', () => `/tasks/${id}`, {}],
  ['on a phone, in the dark', () => `/tasks/${id}`, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: 'dark' }],
  ['by a link', () => link, {}]
]

it.each(views)('every card shows how its file begins: %s', async (_, path, options) => {
  const page = await open(server, '/settings/about', options)
  const fetched = new Map<string, (number | 'whole')[]>()
  page.on('response', (response: Response) => {
    const name = /deliverables\/([^/]+)$/.exec(new URL(response.url()).pathname)?.[1]
    if (name) fetched.set(name, [...(fetched.get(name) ?? []), response.status() === 206 ? Number(response.headers()['content-length']) : 'whole'])
  })
  await page.goto(server.site + path())
  const card = (name: string) => page.locator('.card').filter({ has: page.getByRole('button', { name: `Open ${name}` }) })
  const shows = async (name: string, text: RegExp) => {
    await card(name).scrollIntoViewIfNeeded()
    await expect.poll(() => card(name).locator('.paper').innerText(), { timeout: PATIENCE }).toMatch(text)
  }
  await shows('rows.csv', /Bird\s+Count\s+Note\s+Heron 0\s+0\s+seen/)
  await shows('birds.xlsx', /Bird\s+Grey heron/)
  await shows('count.py', /def count\(birds\)/)
  await shows('notes.md', /^Notes\s+three figures$/)
  await card('dot.png').scrollIntoViewIfNeeded()
  await expect.poll(() => card('dot.png').locator('img').evaluate((img) => (img as HTMLImageElement).naturalWidth), { timeout: PATIENCE }).toBe(2)
  await card('report.html').scrollIntoViewIfNeeded()
  const framed = card('report.html').frameLocator('iframe')
  await framed.getByText('Figures').waitFor()
  expect(await framed.locator('body').innerText()).not.toContain('a script ran')
  // Of a workbook of megabytes some ranges, of a page of megabytes its first one.
  await shows('days.xlsx', /Day\s+Bird\s+Count\s+Share\s+Seen & heard\s+2024-01-01\s+Heron 0\s+0\s+0\.\d+\s+TRUE/)
  const sheetParts = fetched.get('days.xlsx') ?? []
  expect(sheetParts).not.toContain('whole')
  expect(sheetParts.reduce<number>((sum, bytes) => sum + Number(bytes), 0)).toBeLessThan(400_000)
  await card('long.html').scrollIntoViewIfNeeded()
  const long = card('long.html').frameLocator('iframe')
  await long.getByText('The first of many').waitFor()
  expect(await long.getByText('the very last').count()).toBe(0)
  await card('heron.pdf').scrollIntoViewIfNeeded()
  await card('heron.pdf').locator('canvas').waitFor()
  await expect.poll(() => isDrawn(card('heron.pdf').locator('canvas')), { timeout: PATIENCE }).toBe(true)
  // What cannot be shown has its kind alone.
  expect(await card('torn.txt').locator('.sheet').innerText()).toBe('TXT')
  expect(await card('all.bin').locator('.sheet').innerText()).toBe('BIN')
  expect(fetched.get('rows.csv')).toEqual([4_000])
  // Asked for whole and broken off at its head, as the reader of PDFs has it; then its last part and its first.
  const parts = fetched.get('heron.pdf')?.filter((bytes) => bytes !== 'whole') ?? []
  expect(parts.length).toBeGreaterThan(0)
  expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(300_000)
  expect(fetched.has('all.bin')).toBe(false)
  expect(await serious(page)).toEqual([])
  expect(await overflowing(page)).toEqual([])
  // A click anywhere on it opens it, and nothing in it can be reached by keyboard.
  await card('rows.csv').locator('.peek').click({ force: true })
  await page.getByRole('dialog').getByRole('cell', { name: 'Heron 7', exact: true }).waitFor()
  await page.keyboard.press('Escape')
  expect(await page.locator('.card .peek').evaluateAll((all) => all.every((peek) => (peek as HTMLElement).inert))).toBe(true)
  await done(page)
})

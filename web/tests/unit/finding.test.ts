// What was found in files, in the person's language: each form that the checker writes (crates/tools/src/check.py).

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { language } from '../../src/i18n/index.svelte'
import { findingOf } from '../../src/parts/finding'

const FOUND: [english: string, chinese: string][] = [
  ['HTML, 1,849 words, 12 pictures', 'HTML，1,849 词，12 张图片'],
  ['PDF, 5 pages', 'PDF，5 页'],
  ['PDF, 1 page, without text that can be searched', 'PDF，1 页，没有可搜索的文字'],
  ['spreadsheet, 8 sheets, 167,259 filled cells, 2 charts', '电子表格，8 个工作表，167,259 个非空单元格，2 个图表'],
  ['spreadsheet, 1 sheet, 2,000,000 filled cells or more', '电子表格，1 个工作表，至少 2,000,000 个非空单元格'],
  ['document, 12 paragraphs, 1 word', '文档，12 段，1 词'],
  ['presentation, 1 slide', '演示文稿，1 张幻灯片'],
  ['Markdown, 3 lines, 1 heading, 2 links, a code block is not closed', 'Markdown，3 行，1 个标题，2 个链接，有代码块没有结束'],
  ['CSV, 1 row of 2 columns under the header', 'CSV，表头下 1 行、2 列'],
  ['CSV, 9,976 rows of 12 columns under the header', 'CSV，表头下 9,976 行、12 列'],
  ['text, 1 line', '文本，1 行'],
  ['TypeScript, 40 lines, read as text: its syntax was not checked', 'TypeScript，40 行，按文本读取：未检查语法'],
  ['C++, 2 lines, read as text: its syntax was not checked', 'C++，2 行，按文本读取：未检查语法'],
  ['JSON, an object with 3 keys', 'JSON，含 3 个键的对象'],
  ['GeoJSON, a list of 1,200', 'GeoJSON，含 1,200 项的列表'],
  ['JSON, one value', 'JSON，一个值'],
  ['JSON Lines, 7 values', 'JSON Lines，7 个值'],
  ['Jupyter notebook, 9 cells, 4 of code, 1 cell ended in an error', 'Jupyter 笔记本，9 个单元，其中代码 4 个，1 个单元以错误结束'],
  ['PNG, 1,200 x 800 pixels', 'PNG，1,200 × 800 像素'],
  ['GIF, 10 x 10 pixels, 3 frames', 'GIF，10 × 10 像素，3 帧'],
  ['SVG, 1 shape', 'SVG，1 个图形'],
  ['ZIP, 2 files, 4,096 bytes unpacked', 'ZIP，2 个文件，解压后 4,096 字节'],
  ['unfinished, not checked', '未完成，未检查']
]

/** Of a file that no parser knows, and of a version that is not written yet. */
const UNKNOWN = ['.xyz file, 20 bytes, not opened', 'XML, root svg', 'PDF, 5 pages, 3 signatures', '', 'something else']

beforeEach(() => {
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined })
  vi.stubGlobal('document', { documentElement: {} })
  vi.stubGlobal('navigator', { language: 'en-GB' })
})
afterEach(async () => {
  await language.set('en')
  vi.unstubAllGlobals()
})

it('each form is known, and in English it is what stands on the record', () => {
  for (const [english] of FOUND) expect(findingOf(english)).toBe(english)
  for (const text of UNKNOWN) expect(findingOf(text)).toBe(text)
})

it('in Chinese it is said in Chinese, and what is not known as it stands on the record', async () => {
  await language.set('zh')
  for (const [english, chinese] of FOUND) expect(findingOf(english)).toBe(chinese)
  for (const text of UNKNOWN) expect(findingOf(text)).toBe(text)
})

it('the checker writes no kind of line that is not tried here', () => {
  const checker = readFileSync(new URL('../../../crates/tools/src/check.py', import.meta.url), 'utf8')
  // What is said of a broken file is told to the agent, and stands on no card.
  const said = checker.split('\n').filter((line) => !line.includes('Broken(')).join('\n')
  const units = [...said.matchAll(/counted\([^"']*["']([a-z ]+)["']/g)].map((match) => match[1] ?? '')
  expect(units.length).toBeGreaterThan(15)
  const tried = FOUND.map(([english]) => english).join('; ')
  expect(units.filter((unit) => !tried.includes(unit))).toEqual([])
})

// The first rows of an XLSX, by a few ranges of it: its table of contents, the list of its sheets, how its cells look, and the
// beginnings of its first sheet and of its texts. What stands further back is not fetched, and not unpacked.

import { Inflate } from 'fflate'
import { request } from '../api/client'

/** The end of the file in which its table of contents is looked for. */
const CONTENTS_BYTES = 128_000
/** Packed bytes of one part, and what is unpacked of them. */
const PART_BYTES = 96_000
const PART_TEXT_MAX = 500_000

interface Part {
  at: number
  packed: number
  stored: boolean
}

/** Rows with their cells in place; none where it is no such file, or its contents are too long for a look. */
export async function peekSheet(url: string, bytes: number, rows: number, columns: number): Promise<string[][]> {
  const start = Math.max(0, bytes - CONTENTS_BYTES)
  const parts = contents(await range(url, start, bytes), start)
  const text = async (name: string) => {
    const part = parts.get(name)
    return part ? unpack(part, await range(url, part.at, Math.min(bytes, part.at + 30 + 1_024 + Math.min(part.packed, PART_BYTES)))) : ''
  }
  const [book, links, styles] = [await text('xl/workbook.xml'), await text('xl/_rels/workbook.xml.rels'), await text('xl/styles.xml')]
  const [sheet, shared] = [await text(firstSheet(book, links)), await text('xl/sharedStrings.xml')]
  return rowsOf(sheet, textsOf(shared), datesOf(styles), rows, columns)
}

async function range(url: string, from: number, to: number): Promise<Uint8Array> {
  const response = await request('GET', url, undefined, { range: `bytes=${from}-${to - 1}` })
  if (response.status !== 206 && from > 0) throw new Error('the server gives no ranges')
  return new Uint8Array(await response.arrayBuffer())
}

/** The parts that the end of a ZIP file lists, by name. */
function contents(tail: Uint8Array, start: number): Map<string, Part> {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  const parts = new Map<string, Part>()
  let end = tail.length - 22
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1
  if (end < 0) return parts
  let at = view.getUint32(end + 16, true) - start
  while (at >= 0 && at + 46 <= end && view.getUint32(at, true) === 0x02014b50) {
    const [name, extra, note] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)]
    const part = { at: view.getUint32(at + 42, true), packed: view.getUint32(at + 20, true), stored: view.getUint16(at + 10, true) === 0 }
    parts.set(new TextDecoder().decode(tail.subarray(at + 46, at + 46 + name)), part)
    at += 46 + name + extra + note
  }
  return parts
}

/** As much of a part as was fetched. */
function unpack(part: Part, bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 30 || view.getUint32(0, true) !== 0x04034b50) return ''
  const from = 30 + view.getUint16(26, true) + view.getUint16(28, true)
  const packed = bytes.subarray(from, from + Math.min(part.packed, PART_BYTES))
  const decoder = new TextDecoder()
  if (part.stored) return decoder.decode(packed, { stream: true })
  let text = ''
  const inflate = new Inflate((chunk) => {
    if (text.length < PART_TEXT_MAX) text += decoder.decode(chunk, { stream: true })
  })
  // In small pieces: a few bytes can stand for very many.
  for (let at = 0; at < packed.length && text.length < PART_TEXT_MAX; at += 4_096) inflate.push(packed.subarray(at, at + 4_096))
  return text
}

interface Element {
  tag: string
  inside: string
}

/** Characters of a tag and of the look of a number: what is longer is no file that a program wrote to be read. */
const TAG_CHARS_MAX = 2_000
const FORMAT_CHARS_MAX = 200

/** The elements of a name that do not lie in one another. The text may end anywhere, and whoever wrote it may mean ill: each
 *  character is looked at a few times at the most. */
function* elements(xml: string, name: string): Generator<Element> {
  const opening = new RegExp(`<(?:\\w{1,20}:)?${name}(?:\\s[^<>]*)?>`, 'g')
  const closing = new RegExp(`</(?:\\w{1,20}:)?${name}>`, 'g')
  for (let open = opening.exec(xml); open; open = opening.exec(xml)) {
    const tag = open[0].slice(0, TAG_CHARS_MAX)
    if (open[0].endsWith('/>')) {
      yield { tag, inside: '' }
      continue
    }
    closing.lastIndex = opening.lastIndex
    const close = closing.exec(xml)
    if (!close) return
    yield { tag, inside: xml.slice(opening.lastIndex, close.index) }
    opening.lastIndex = closing.lastIndex
  }
}

const first = (xml: string, name: string): Element | undefined => elements(xml, name).next().value ?? undefined

const attribute = (tag: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? ''

/** The file of the sheet that stands first in the workbook. */
function firstSheet(book: string, links: string): string {
  const wanted = attribute(first(book, 'sheet')?.tag ?? '', 'r:id')
  const link = [...elements(links, 'Relationship')].find(({ tag }) => attribute(tag, 'Id') === wanted)
  const target = attribute(link?.tag ?? '', 'Target')
  return target.startsWith('/') ? target.slice(1) : `xl/${target || 'worksheets/sheet1.xml'}`
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The text in an element; what is written to be read aloud beside it is left out. */
function plain(xml: string): string {
  const [before = '', ...after] = xml.split(/<(?:\w{1,20}:)?rPh(?=[\s>])/)
  const rest = after.map((piece) => piece.slice(/<\/(?:\w{1,20}:)?rPh>/.exec(piece)?.index ?? piece.length))
  const said = [before, ...rest].join('')
  return unescaped([...elements(said, 't')].map(({ inside }) => inside).join(''))
}

function unescaped(text: string): string {
  return text.replace(/&(#x?[\da-f]{1,8}|\w{1,8});/gi, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole
    const code = name[1] === 'x' ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10)
    return code > 0 && code < 0x110000 ? String.fromCodePoint(code) : whole
  })
}

/** Texts that cells name by number. */
const textsOf = (xml: string): string[] => [...elements(xml, 'si')].map(({ inside }) => plain(inside))

/** Which looks of cells are those of a date. */
function datesOf(xml: string): boolean[] {
  const own = new Map([...elements(xml, 'numFmt')].map(({ tag }) => [attribute(tag, 'numFmtId'), attribute(tag, 'formatCode')]))
  return [...elements(first(xml, 'cellXfs')?.inside ?? '', 'xf')].map(({ tag }) => {
    const id = attribute(tag, 'numFmtId')
    const code = own.get(id)?.slice(0, FORMAT_CHARS_MAX)
    if (code !== undefined) return /[dmyhs]/i.test(unescaped(code).replace(/"[^"]*"|\[[^\]]*\]|\\./g, ''))
    return (Number(id) >= 14 && Number(id) <= 22) || (Number(id) >= 45 && Number(id) <= 47)
  })
}

function rowsOf(xml: string, texts: string[], dates: boolean[], rowsMax: number, columnsMax: number): string[][] {
  const rows: string[][] = []
  for (const { inside } of elements(xml, 'row')) {
    if (rows.length >= rowsMax) break
    const row: string[] = []
    for (const cell of elements(inside, 'c')) {
      const column = columnOf(attribute(cell.tag, 'r')) ?? row.length
      if (column >= columnsMax) break
      while (row.length < column) row.push('')
      row[column] = shown(cell, texts, dates)
    }
    if (row.some(Boolean)) rows.push(row)
  }
  return rows
}

/** A is 0, AA is 26; null where a cell does not say. */
function columnOf(place: string): number | null {
  const letters = /^[A-Z]{1,3}/.exec(place)?.[0]
  return letters ? [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1 : null
}

function shown({ tag, inside }: Element, texts: string[], dates: boolean[]): string {
  const type = attribute(tag, 't')
  if (type === 'inlineStr') return plain(inside)
  const value = unescaped(first(inside, 'v')?.inside ?? '')
  if (type === 's') return value === '' ? '' : (texts[Number(value)] ?? '…')
  if (type === 'b') return value === '1' ? 'TRUE' : 'FALSE'
  if (type !== '' && type !== 'n') return value
  const number = Number(value)
  if (value === '' || !Number.isFinite(number)) return value
  if (dates[Number(attribute(tag, 's'))]) return dayOf(number)
  return Number.isInteger(number) ? value : String(Math.round(number * 1e6) / 1e6)
}

/** Days since the last of 1899, as spreadsheets count them. */
function dayOf(days: number): string {
  const date = new Date(Math.round((days - 25_569) * 86_400_000))
  return Number.isNaN(date.getTime()) ? String(days) : date.toISOString().replace(/T00:00:00\.000Z$/, '').replace('T', ' ').replace(/\.\d+Z$/, '')
}

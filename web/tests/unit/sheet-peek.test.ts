// The first rows of a workbook by ranges of it: also of one that somebody wrote to keep the page busy.

import { afterEach, expect, it, vi } from 'vitest'
import { zipSync, strToU8 } from 'fflate'
import { peekSheet } from '../../src/preview/sheet-peek'

afterEach(() => vi.unstubAllGlobals())

/** A server of one file, and how many bytes it gave. */
function served(parts: Record<string, string>, level: 0 | 6 = 6): { bytes: number; given: () => number } {
  const file = zipSync(Object.fromEntries(Object.entries(parts).map(([name, text]) => [name, strToU8(text)])), { level })
  let given = 0
  vi.stubGlobal('sessionStorage', { getItem: () => 'w', setItem: () => undefined })
  vi.stubGlobal('fetch', (_: string, { headers }: { headers: Record<string, string> }) => {
    const [from, to] = (/bytes=(\d+)-(\d+)/.exec(headers['range'] ?? '') ?? []).slice(1).map(Number)
    const piece = file.slice(from, (to ?? 0) + 1)
    given += piece.length
    return Promise.resolve(new Response(piece, { status: 206 }))
  })
  return { bytes: file.length, given: () => given }
}

const BOOK = '<workbook><sheets><sheet name="A" sheetId="9" r:id="rId7"/><sheet name="B" sheetId="1" r:id="rId1"/></sheets></workbook>'
const LINKS = '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId7" Target="/xl/worksheets/sheet2.xml"/></Relationships>'
const STYLES = '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd;@"/><numFmt numFmtId="165" formatCode="0.0&quot;days&quot;"/></numFmts><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>'
const TEXTS = '<sst><si><t>Bird</t></si><si><r><t xml:space="preserve">grey </t></r><r><t>heron &amp; co</t></r><rPh><t>aloud</t></rPh></si></sst>'
const ROWS = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>Day</t></is></c></row><row r="2"/><row r="3"><c r="A3" t="s"><v>1</v></c><c r="B3" s="2"><v>1.23456789</v></c><c r="C3" s="1"><v>45292</v></c><c r="D3" t="b"><v>1</v></c><c r="E3" t="s"><v>99</v></c></row>'
const book = (rows: string) => ({ 'xl/workbook.xml': BOOK, 'xl/_rels/workbook.xml.rels': LINKS, 'xl/styles.xml': STYLES, 'xl/sharedStrings.xml': TEXTS, 'xl/worksheets/sheet1.xml': '<worksheet/>', 'xl/worksheets/sheet2.xml': `<worksheet><sheetData>${rows}` })

it('reads the first sheet as a person sees it', async () => {
  const { bytes } = served(book(`${ROWS}</sheetData></worksheet>`))
  expect(await peekSheet('/f', bytes, 9, 7)).toEqual([
    ['Bird', '', 'Day'],
    ['grey heron & co', '1.234568', '2024-01-01', 'TRUE', '…']
  ])
})

it('fetches little of a large one, packed or not', async () => {
  const many = Array.from({ length: 80_000 }, (_, at) => `<row r="${at + 4}"><c r="A${at + 4}"><v>${(at * 7919) % 1_000_003}</v></c></row>`).join('')
  for (const level of [0, 6] as const) {
    const { bytes, given } = served(book(ROWS + many), level)
    expect((await peekSheet('/f', bytes, 4, 7)).map((row) => row[0])).toEqual(['Bird', 'grey heron & co', '0', '7919'])
    expect(given()).toBeLessThan(400_000)
    expect(given()).toBeLessThan(bytes)
  }
})

it('is not kept busy by a file that means ill, nor taken in by one that is none', async () => {
  for (const rows of ['<row '.repeat(100_000), '<row>'.repeat(100_000), `<row>${'<c>'.repeat(150_000)}</row>`, `<row><c t="inlineStr">${'<t>'.repeat(150_000)}</c></row>`, `<row><c t="inlineStr">${'<rPh></rPh>'.repeat(45_000)}</c></row>`, ' '.repeat(50_000_000)]) {
    const { bytes } = served(book(rows))
    expect(await peekSheet('/f', bytes, 9, 7)).toEqual([])
  }
  const { bytes } = served({ 'notes.txt': 'no workbook' })
  expect(await peekSheet('/f', bytes, 9, 7)).toEqual([])
})

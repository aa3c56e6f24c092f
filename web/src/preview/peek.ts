// The beginning of a file, for its card. However large the file is, little of it is fetched: of a text its first kilobytes, of a
// PDF and a workbook the ranges that the first page or rows need; a picture only where it is small.

import { request } from '../api/client'
import type { Deliverable } from '../api/events'
import { endingOf, imageType, kindOf } from './kinds'
import type { Pdf } from './pdf'
import { peekSheet } from './sheet-peek'
import { parseCsv, separatorOf } from './tables'

export type Peek =
  | { as: 'text'; text: string }
  | { as: 'markdown'; text: string }
  | { as: 'table'; rows: string[][] }
  | { as: 'picture'; blob: Blob }
  /** So many bytes of it, where it is a large one. */
  | { as: 'page'; first: number | null }
  | { as: 'pdf'; pdf: Pdf }

const TEXT_BYTES = 4_000
const ROWS = 9
const COLUMNS = 7
/** The largest files that are fetched whole; of larger ones a beginning, but for pictures, which have none. */
const PICTURE_BYTES_MAX = 3_000_000
const PAGE_BYTES_MAX = 1_000_000
const PDF_BYTES_MAX = 50_000_000

/** PDFs are opened one after another: each has a thread of its own. */
let turn: Promise<unknown> = Promise.resolve()

/** What its card shows of a file; null where that is no more than its kind. */
export async function peek(file: Deliverable, url: string): Promise<Peek | null> {
  const within = (bytes: number) => file.bytes > 0 && file.bytes <= bytes
  const kind = kindOf(file.name)
  switch (kind) {
    case 'text':
    case 'code':
      return asText('text', await beginning(file, url))
    case 'markdown':
      return asText('markdown', await beginning(file, url))
    case 'csv': {
      const text = await beginning(file, url)
      return text === null ? null : table(parseCsv(text, endingOf(file.name) === 'tsv' ? '\t' : separatorOf(text)).rows)
    }
    case 'sheetfile':
      return file.bytes === 0 ? null : table(await peekSheet(url, file.bytes, ROWS, COLUMNS))
    case 'image':
      return within(PICTURE_BYTES_MAX) ? { as: 'picture', blob: new Blob([await whole(url)], { type: imageType(file.name) }) } : null
    case 'html':
      return file.bytes === 0 ? null : { as: 'page', first: within(PAGE_BYTES_MAX) ? null : PAGE_BYTES_MAX }
    case 'pdf': {
      if (!within(PDF_BYTES_MAX)) return null
      const opened = turn.then(() => import('./pdf')).then(({ openPdfAt }) => openPdfAt(url))
      turn = opened.catch(() => undefined)
      return { as: 'pdf', pdf: await opened }
    }
    case 'other':
      return null
  }
}

function asText(as: 'text' | 'markdown', text: string | null): Peek | null {
  return text?.trim() ? { as, text } : null
}

function table(rows: string[][]): Peek | null {
  const filled = rows.filter((row) => row.some(Boolean)).slice(0, ROWS)
  return filled.length > 0 ? { as: 'table', rows: filled.map((row) => row.slice(0, COLUMNS)) } : null
}

const whole = async (url: string): Promise<Blob> => (await request('GET', url)).blob()

/** Whole lines from the beginning of a text; null where it is none. */
async function beginning(file: Deliverable, url: string): Promise<string | null> {
  if (file.bytes === 0) return null
  const response = await request('GET', url, undefined, { range: `bytes=0-${TEXT_BYTES - 1}` })
  // A character that was cut at the end is left out.
  const text = new TextDecoder().decode(await response.arrayBuffer(), { stream: true })
  if (text.includes('\0')) return null
  const end = file.bytes > TEXT_BYTES ? text.lastIndexOf('\n') : -1
  return end > 0 ? text.slice(0, end) : text
}

// Tables out of files: CSV by the usual rules, XLSX by a library. Only as much as is shown is kept.

export const ROWS_MAX = 500
export const COLUMNS_MAX = 60

/** Stands at the right of its column. */
export const isFigure = (cell: string): boolean => /^[$€£¥]?\s*[-+]?[\d.,]+\s*%?$/.test(cell)

export interface Sheet {
  name: string
  rows: string[][]
  rowCount: number
  columnCount: number
}

export async function readCsv(blob: Blob, separator: string | null): Promise<Sheet[]> {
  const text = await blob.text()
  return [parseCsv(text, separator ?? separatorOf(text))]
}

/** The mark that parts the cells of its first line. */
export function separatorOf(text: string): string {
  const line = text.slice(0, text.search(/[\r\n]|$/))
  const times = (mark: string) => line.split(mark).length
  return [',', ';', '\t'].reduce((best, mark) => (times(mark) > times(best) ? mark : best))
}

/** Reads comma-separated values as RFC 4180 has them, a lone quote as itself. */
export function parseCsv(text: string, separator: string): Sheet {
  const rows: string[][] = []
  let rowCount = 0
  let columnCount = 0
  let row: string[] = []
  let cell = ''
  let quoted = false
  const endRow = () => {
    row.push(cell)
    cell = ''
    if (row.length > 1 || row[0] !== '') {
      rowCount += 1
      columnCount = Math.max(columnCount, row.length)
      if (rows.length < ROWS_MAX) rows.push(row.slice(0, COLUMNS_MAX))
    }
    row = []
  }
  const body = text.replace(/^\uFEFF/, '')
  for (let at = 0; at < body.length; at++) {
    const mark = body[at] as string
    if (quoted) {
      if (mark !== '"') cell += mark
      else if (body[at + 1] === '"') {
        cell += '"'
        at += 1
      } else quoted = false
    } else if (mark === '"' && cell === '') quoted = true
    else if (mark === separator) {
      row.push(cell)
      cell = ''
    } else if (mark === '\n') endRow()
    else if (mark !== '\r') cell += mark
  }
  if (cell !== '' || row.length > 0) endRow()
  return { name: '', rows, rowCount, columnCount }
}

/** Bytes that a workbook may have unpacked: a few can stand for very many. */
const UNPACKED_BYTES_MAX = 64_000_000

export async function readXlsx(blob: Blob): Promise<Sheet[]> {
  const { unzipSync } = await import('fflate')
  let unpacked = 0
  const count = ({ originalSize }: { originalSize: number }) => ((unpacked += originalSize), false)
  unzipSync(new Uint8Array(await blob.arrayBuffer()), { filter: count })
  if (unpacked > UNPACKED_BYTES_MAX) throw new Error('the workbook is too large to be unpacked here')
  const { default: readSheets } = await import('read-excel-file/browser')
  const sheets = (await readSheets(blob)) as unknown as { sheet: string; data: unknown[][] }[]
  return sheets.map(({ sheet, data }) => ({
    name: sheet,
    rows: data.slice(0, ROWS_MAX).map((row) => row.slice(0, COLUMNS_MAX).map(shown)),
    rowCount: data.length,
    columnCount: Math.max(0, ...data.slice(0, ROWS_MAX).map((row) => row.length))
  }))
}

function shown(cell: unknown): string {
  if (cell === null || cell === undefined) return ''
  if (cell instanceof Date) return cell.toISOString().replace(/T00:00:00\.000Z$/, '').replace('T', ' ').replace('.000Z', '')
  if (typeof cell === 'number' && !Number.isInteger(cell)) return String(Math.round(cell * 1e6) / 1e6)
  return String(cell)
}

// Small files of every kind, made by hand and each in base64, and what can be seen of them.

import { spawnSync } from 'node:child_process'
import type { Locator } from 'playwright-core'

export const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A red square. */
export const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4wMAARAwQCgAYDgMBZBJpNwAAAABJRU5ErkJggg=='

/** A spreadsheet of two cells, by hand: the program that writes it. */
const SHEET = String.raw`
import base64, io, sys, zipfile
file = io.BytesIO()
z = zipfile.ZipFile(file, 'w')
ns = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
rel = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
head = '<?xml version="1.0" encoding="UTF-8"?>'
z.writestr('[Content_Types].xml', head + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>')
z.writestr('_rels/.rels', head + f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
z.writestr('xl/workbook.xml', head + f'<workbook {ns}><sheets><sheet name="Herons" sheetId="1" r:id="r1"/></sheets></workbook>')
z.writestr('xl/_rels/workbook.xml.rels', head + f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>')
z.writestr('xl/worksheets/sheet1.xml', head + f'<worksheet {ns}><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Bird</t></is></c></row><row r="2"><c r="A2" t="inlineStr"><is><t>Grey heron</t></is></c></row></sheetData></worksheet>')
z.close()
sys.stdout.write(base64.b64encode(file.getvalue()).decode())
`

export function sheet(): string {
  const { stdout, stderr } = spawnSync('python3', ['-c', SHEET], { encoding: 'utf8' })
  if (stderr) throw new Error(stderr)
  return stdout
}

/** Whether something dark is drawn on a canvas. */
export async function isDrawn(canvas: Locator): Promise<boolean> {
  return await canvas.evaluate((node) => {
    const canvas = node as HTMLCanvasElement
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] }
    return Array.from(data).some((value, at) => at % 4 === 0 && value < 100 && (data[at + 3] ?? 0) > 200)
  })
}

/** A page with two words on it, with every place of it counted. */
export function pdf(): string {
  const text = 'BT /F1 24 Tf 72 700 Td (Grey heron) Tj ET'
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', '<</Type/Pages/Kids[3 0 R]/Count 1>>', '<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>', `<</Length ${text.length}>>stream\n${text}\nendstream`, '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>']
  let file = '%PDF-1.4\n'
  const places = objects.map((object, at) => {
    const place = file.length
    file += `${at + 1} 0 obj${object}endobj\n`
    return place
  })
  const table = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('')
  return base64(`${file}xref\n0 6\n0000000000 65535 f \n${table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${file.length}\n%%EOF\n`)
}

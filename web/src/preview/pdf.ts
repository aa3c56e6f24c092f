// PDF files by pdf.js, in a worker. Scripts, forms and links of a file are left alone.

import * as pdfjs from 'pdfjs-dist'
import type { DocumentInitParameters } from 'pdfjs-dist/types/src/display/api'
import worker from 'pdfjs-dist/build/pdf.worker.min.mjs?url'

pdfjs.GlobalWorkerOptions.workerSrc = worker

export interface Pdf {
  pages: number
  /** Size of the first page, so that the others have room before they are drawn. */
  width: number
  height: number
  /** Draws a page, so many pixels wide. */
  draw(number: number, canvas: HTMLCanvasElement, width?: number): Promise<void>
  close(): void
}

/** Pixels of a page's width: sharp on a dense screen, bounded in memory. */
const WIDTH_PX = 1400

export async function openPdf(blob: Blob): Promise<Pdf> {
  return await open({ data: new Uint8Array(await blob.arrayBuffer()) })
}

/** The same of a file at the server, of which only those parts are fetched that are drawn. */
export async function openPdfAt(url: string): Promise<Pdf> {
  return await open({ url: new URL(url, location.href).href, disableAutoFetch: true, disableStream: true })
}

async function open(source: Pick<DocumentInitParameters, 'data' | 'url' | 'disableAutoFetch' | 'disableStream'>): Promise<Pdf> {
  const loading = pdfjs.getDocument({ ...source, disableFontFace: false, useSystemFonts: true, enableXfa: false, useWasm: false })
  const file = await loading.promise
  const first = (await file.getPage(1)).getViewport({ scale: 1 })
  return {
    pages: file.numPages,
    width: first.width,
    height: first.height,
    async draw(number, canvas, width = WIDTH_PX) {
      const page = await file.getPage(number)
      const viewport = page.getViewport({ scale: width / page.getViewport({ scale: 1 }).width })
      canvas.width = viewport.width
      canvas.height = viewport.height
      await page.render({ canvas, viewport }).promise
    },
    close: () => void loading.destroy()
  }
}

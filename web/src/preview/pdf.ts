// PDF files by pdf.js, in a worker. Scripts, forms and links of a file are left alone.

import * as pdfjs from 'pdfjs-dist'
import worker from 'pdfjs-dist/build/pdf.worker.min.mjs?url'

pdfjs.GlobalWorkerOptions.workerSrc = worker

export interface Pdf {
  pages: number
  /** Size of the first page, so that the others have room before they are drawn. */
  width: number
  height: number
  draw(number: number, canvas: HTMLCanvasElement): Promise<void>
  close(): void
}

/** Pixels of a page's width: sharp on a dense screen, bounded in memory. */
const WIDTH_PX = 1400

export async function openPdf(blob: Blob): Promise<Pdf> {
  const data = new Uint8Array(await blob.arrayBuffer())
  const loading = pdfjs.getDocument({ data, disableFontFace: false, useSystemFonts: true, enableXfa: false, useWasm: false })
  const file = await loading.promise
  const first = (await file.getPage(1)).getViewport({ scale: 1 })
  return {
    pages: file.numPages,
    width: first.width,
    height: first.height,
    async draw(number, canvas) {
      const page = await file.getPage(number)
      const viewport = page.getViewport({ scale: WIDTH_PX / page.getViewport({ scale: 1 }).width })
      canvas.width = viewport.width
      canvas.height = viewport.height
      await page.render({ canvas, viewport }).promise
    },
    close: () => void loading.destroy()
  }
}

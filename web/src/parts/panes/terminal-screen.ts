// An xterm on the page, in the page's colours and type. What is written to it is whoever's made it.

import { FitAddon } from '@xterm/addon-fit'
import { Terminal, type ITerminalOptions } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { terminalTheme } from './terminal-theme'
import { opening, xtermDocument } from './xterm-document'

export const FONT_SIZE = 12.5

export interface TerminalScreen {
  terminal: Terminal
  fit: FitAddon
  /** Takes on the page's colours, which may have changed. */
  paint(): void
  close(): void
}

export function openScreen(box: HTMLElement, options: ITerminalOptions = {}): TerminalScreen {
  const fontFamily = getComputedStyle(document.documentElement).getPropertyValue('--mono')
  const terminal = new Terminal({
    documentOverride: xtermDocument,
    convertEol: false,
    cursorInactiveStyle: 'none',
    disableStdin: true,
    fontFamily,
    fontSize: FONT_SIZE,
    lineHeight: 1.35,
    scrollback: 20_000,
    screenReaderMode: true,
    ...options
  })
  const fit = new FitAddon()
  terminal.loadAddon(fit)
  opening(() => terminal.open(box))
  // Letters are measured when a font is named: once more when the one that they are drawn in has come, or they stand apart.
  const font = `${FONT_SIZE}px ${fontFamily.split(',', 1)[0]}`
  let open = true
  if (!document.fonts.check(font))
    void document.fonts.load(font).then(() => {
      if (!open) return
      terminal.options.fontFamily = 'monospace'
      terminal.options.fontFamily = fontFamily
      fit.fit()
    })
  const paint = () => void (terminal.options.theme = terminalTheme(box))
  const dark = window.matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', paint)
  paint()
  const close = () => {
    open = false
    dark.removeEventListener('change', paint)
    terminal.dispose()
  }
  return { terminal, fit, paint, close }
}

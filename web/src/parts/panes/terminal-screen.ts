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

const family = () => getComputedStyle(document.documentElement).getPropertyValue('--mono')

/** Letters are measured once, when a screen opens: with the font that they are drawn in, or they stand apart. */
export const font = {
  name: (): string => `${FONT_SIZE}px ${family().split(',', 1)[0]}`,
  isThere: (): boolean => document.fonts.check(font.name()),
  comes: (): Promise<unknown> => document.fonts.load(font.name()).catch(() => undefined)
}

export function openScreen(box: HTMLElement, options: ITerminalOptions = {}): TerminalScreen {
  const terminal = new Terminal({
    documentOverride: xtermDocument,
    convertEol: false,
    cursorInactiveStyle: 'none',
    disableStdin: true,
    fontFamily: family(),
    fontSize: FONT_SIZE,
    lineHeight: 1.35,
    scrollback: 20_000,
    screenReaderMode: true,
    ...options
  })
  // Tab leads on, unless somebody types here: then it is the program's, and Shift with Tab leads out.
  terminal.attachCustomKeyEventHandler((event) => event.key !== 'Tab' || (!event.shiftKey && terminal.options.disableStdin !== true))
  const fit = new FitAddon()
  terminal.loadAddon(fit)
  opening(() => terminal.open(box))
  const paint = () => void (terminal.options.theme = terminalTheme(box))
  const dark = window.matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', paint)
  paint()
  const close = () => {
    dark.removeEventListener('change', paint)
    terminal.dispose()
  }
  return { terminal, fit, paint, close }
}

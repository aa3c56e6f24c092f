// The terminal's colours, in the page's light and dark. Sixteen colours that read well on both.

import type { ITheme } from '@xterm/xterm'

const LIGHT: ITheme = {
  background: '#ffffff',
  foreground: '#27302c',
  cursor: '#0b6a53',
  selectionBackground: '#bfe3d4',
  black: '#27302c',
  red: '#a92a1f',
  green: '#0b6a53',
  yellow: '#8a5200',
  blue: '#2a5fa8',
  magenta: '#7a3fa0',
  cyan: '#0f6d7a',
  white: '#5f6b65',
  brightBlack: '#5f6b65',
  brightRed: '#b93a2c',
  brightGreen: '#0f7d62',
  brightYellow: '#955c05',
  brightBlue: '#3468b3',
  brightMagenta: '#8749ad',
  brightCyan: '#177784',
  brightWhite: '#27302c'
}

const DARK: ITheme = {
  background: '#1b2320',
  foreground: '#d5ddd9',
  cursor: '#62cfab',
  selectionBackground: '#1f5746',
  black: '#3a4641',
  red: '#f1938a',
  green: '#62cfab',
  yellow: '#e9b766',
  blue: '#8fb8f0',
  magenta: '#cfa4ea',
  cyan: '#7fd3dc',
  white: '#d5ddd9',
  brightBlack: '#8e9b94',
  brightRed: '#f7aca4',
  brightGreen: '#84dec0',
  brightYellow: '#f2c985',
  brightBlue: '#a9c9f5',
  brightMagenta: '#dcbcf0',
  brightCyan: '#9be0e7',
  brightWhite: '#ffffff'
}

/** The theme that is in force where this element stands. */
export function terminalTheme(element: HTMLElement): ITheme {
  const scheme = getComputedStyle(element).colorScheme
  const dark = scheme === 'dark' || (scheme !== 'light' && window.matchMedia('(prefers-color-scheme: dark)').matches)
  return dark ? DARK : LIGHT
}

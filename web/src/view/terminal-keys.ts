// Keys of a terminal by their names, as what a program in it reads.

const PLAIN: Record<string, string> = { Escape: '\x1b', Tab: '\t', Enter: '\r', Backspace: '\x7f' }
const WAYS: Record<string, string> = { ArrowUp: 'A', ArrowDown: 'B', ArrowRight: 'C', ArrowLeft: 'D' }

/** What a letter is with Control: as on every terminal, its lowest five bits. */
export function withControl(text: string): string {
  const code = text.toUpperCase().charCodeAt(0)
  if ([...text].length !== 1) return text
  if (text === ' ') return '\0'
  if (text === '?') return '\x7f'
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : text
}

/** What a key of the row sends; `application` is the mode that programs with a whole screen switch on. */
export function keyBytes(name: string, application: boolean): string {
  const control = name.startsWith('Control+')
  const key = control ? name.slice('Control+'.length) : name
  const way = WAYS[key]
  if (way) return control ? `\x1b[1;5${way}` : application ? `\x1bO${way}` : `\x1b[${way}`
  return PLAIN[key] ?? (control ? withControl(key) : key)
}

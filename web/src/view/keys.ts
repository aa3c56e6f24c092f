// A key that a person pressed, by the name that the browser's route knows it by.

const MODIFIERS = new Set(['Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock', 'NumLock', 'Fn', 'Hyper', 'Super'])
/** What an input method has not settled yet comes as text. */
const UNSETTLED = new Set(['Dead', 'Process', 'Unidentified', 'Compose'])
const NAMED = /^(Enter|Tab|Escape|Backspace|Delete|Insert|Home|End|PageUp|PageDown|Arrow(Left|Up|Right|Down)|ContextMenu|F([1-9]|1\d|2[0-4]))$/

export interface KeyPressed {
  key: string
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
  shiftKey: boolean
  isComposing: boolean
  altGraph: boolean
  /** The keyboard is a Mac's. */
  mac: boolean
}

/** The name, or null where it is none or comes as text. */
export function keyName(pressed: KeyPressed): string | null {
  const { key } = pressed
  if (pressed.isComposing || MODIFIERS.has(key) || UNSETTLED.has(key)) return null
  const letter = [...key].length === 1
  if (!letter && !NAMED.test(key)) return null
  // Option is what AltGraph is elsewhere, and no browser of a Mac says so.
  const option = pressed.mac && pressed.altKey && !pressed.ctrlKey && !pressed.metaKey
  if (letter && (pressed.altGraph || option)) return null
  // On a Mac, the command key does what Control does in the task's computer.
  const control = pressed.ctrlKey || pressed.metaKey
  const alt = pressed.altKey
  // Shift has already made another letter of it.
  const shift = pressed.shiftKey && (!letter || control || alt)
  return `${control ? 'Control+' : ''}${alt ? 'Alt+' : ''}${shift ? 'Shift+' : ''}${key}`
}

/** The way out of a page or a terminal that takes every key, Tab included. */
export const LEAVING = 'Shift+F6'

export const isLeaving = (pressed: Pick<KeyPressed, 'key' | 'shiftKey'>): boolean => pressed.key === 'F6' && pressed.shiftKey

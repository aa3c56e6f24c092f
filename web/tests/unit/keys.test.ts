// Keys by the names that the browser's route knows them by.

import { expect, it } from 'vitest'
import { keyName, type KeyPressed } from '../../src/view/keys'

const pressed = (key: string, more: Partial<KeyPressed> = {}) => keyName({ key, ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, isComposing: false, altGraph: false, mac: false, ...more })

it.each([
  [pressed('a'), 'a'],
  [pressed('A', { shiftKey: true }), 'A'],
  [pressed('+'), '+'],
  [pressed('Enter'), 'Enter'],
  [pressed('Tab', { shiftKey: true }), 'Shift+Tab'],
  [pressed('ArrowLeft', { ctrlKey: true, shiftKey: true }), 'Control+Shift+ArrowLeft'],
  [pressed('c', { metaKey: true }), 'Control+c'],
  [pressed('F12'), 'F12'],
  [pressed('Shift', { shiftKey: true }), null],
  [pressed('Process', { isComposing: true }), null],
  [pressed('n', { isComposing: true }), null],
  [pressed('Dead'), null],
  [pressed('@', { ctrlKey: true, altKey: true, altGraph: true }), null],
  // Option makes letters on a Mac, and its browsers do not call it AltGraph.
  [pressed('@', { altKey: true, mac: true }), null],
  [pressed('\\', { altKey: true, shiftKey: true, mac: true }), null],
  [pressed('ArrowLeft', { altKey: true, mac: true }), 'Alt+ArrowLeft'],
  [pressed('a', { altKey: true, metaKey: true, mac: true }), 'Control+Alt+a'],
  [pressed('a', { altKey: true, ctrlKey: true, mac: true }), 'Control+Alt+a'],
  [pressed('a', { altKey: true }), 'Alt+a'],
  [pressed('AudioVolumeUp'), null]
])('%s is %s', (name, wanted) => expect(name).toBe(wanted))

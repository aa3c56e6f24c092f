// In a menu the arrow keys, Home and End go from one entry to another.

import { tabbable } from '../state/focus'

export function arrows(menu: HTMLElement) {
  const move = (event: KeyboardEvent) => {
    const all = tabbable(menu)
    const at = all.indexOf(document.activeElement as HTMLElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key]
    if (at < 0 || to === undefined) return
    event.preventDefault()
    all[to % all.length]?.focus()
  }
  menu.addEventListener('keydown', move)
  return () => menu.removeEventListener('keydown', move)
}

// Keeps the keyboard's place. When what has the focus goes, or cannot be used for a while, the browser leaves the focus nowhere: here
// it goes to what is nearest in the same part of the page, or, where a whole screen went, to the new one; or it comes back.

const CONTROL = 'a[href], button, input, textarea, select, summary, [tabindex]:not([tabindex="-1"])'

const controls = (within: Element): HTMLElement[] =>
  [...within.querySelectorAll<HTMLElement>(CONTROL)].filter((node) => node.getClientRects().length > 0 && !node.closest('[inert]'))

export const tabbable = (within: Element): HTMLElement[] => controls(within).filter((node) => !node.matches(':disabled'))

/** Watches the page until it is told to stop; gives what stops it. */
export function keepFocus(root: HTMLElement): () => void {
  /** Where the focus was: the element, what it stood in, and its place on the screen. */
  let path: Element[] = []
  let place = new DOMRect()
  let byKeyboard = false
  let waits = false

  function remember(): void {
    const node = document.activeElement
    if (!node || node === document.body || !root.contains(node)) return
    waits = false
    stands(node)
  }

  function stands(node: Element): void {
    path = []
    for (let at: Element | null = node; at && at !== root; at = at.parentElement) path.push(at)
    place = node.getBoundingClientRect()
  }

  function look(): void {
    const [last] = path
    if (!byKeyboard || document.activeElement !== document.body || !last) return
    if (last.isConnected && last.getClientRects().length > 0) {
      // It is at work: the focus waits for it, or for what takes its place.
      if (last.matches(':disabled')) waits = true
      else if (waits && last instanceof HTMLElement) last.focus()
      return
    }
    const within = path.slice(1).find((node) => node.isConnected && node.getClientRects().length > 0)
    path = []
    if (!within || within.matches('main') || within.querySelector('main')) return document.querySelector<HTMLElement>('main')?.focus()
    const [nearest] = controls(within).sort((a, b) => distance(a) - distance(b))
    if (nearest?.matches(':disabled')) {
      stands(nearest)
      waits = true
      return
    }
    if (nearest) return nearest.focus()
    within.setAttribute('tabindex', '-1')
    if (within instanceof HTMLElement) within.focus()
  }

  function distance(node: Element): number {
    const { x, y, width, height } = node.getBoundingClientRect()
    return Math.hypot(x + width / 2 - place.x - place.width / 2, y + height / 2 - place.y - place.height / 2)
  }

  const pressed = () => ((byKeyboard = true), remember())
  const pointed = () => (byKeyboard = false)
  // A frame later: what takes its place, or takes the focus itself, is there by then.
  const watch = new MutationObserver(() => document.activeElement === document.body && requestAnimationFrame(look))
  watch.observe(root, { childList: true, subtree: true, attributeFilter: ['disabled'] })
  document.addEventListener('focusin', remember)
  document.addEventListener('keydown', pressed, true)
  document.addEventListener('pointerdown', pointed, true)
  return () => {
    watch.disconnect()
    document.removeEventListener('focusin', remember)
    document.removeEventListener('keydown', pressed, true)
    document.removeEventListener('pointerdown', pointed, true)
  }
}

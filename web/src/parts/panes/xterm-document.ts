// A document for xterm that needs no leave for inline styles: it writes its rules into <style> elements and colours into
// `style` attributes, which the page's policy forbids; here they go the way that the policy allows, through the objects.

/** What stands for a style element in the page: anything that shows nothing, for an inline one is refused even if empty. */
function styleElement(): HTMLElement {
  const element = Document.prototype.createElement.call(document, 'template')
  const sheet = new CSSStyleSheet()
  document.adoptedStyleSheets.push(sheet)
  Object.defineProperty(element, 'textContent', {
    get: () => '',
    set: (rules: string) => sheet.replaceSync(rules)
  })
  element.remove = () => {
    const at = document.adoptedStyleSheets.indexOf(sheet)
    if (at >= 0) document.adoptedStyleSheets.splice(at, 1)
    Element.prototype.remove.call(element)
  }
  return element
}

function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === 'style') this.style.cssText = value
  else Element.prototype.setAttribute.call(this, name, value)
}

function getAttribute(this: HTMLElement, name: string): string | null {
  return name === 'style' ? this.style.cssText : Element.prototype.getAttribute.call(this, name)
}

function createElement(tag: string): HTMLElement {
  if (tag === 'style') return styleElement()
  const element = Document.prototype.createElement.call(document, tag)
  if (tag === 'span') Object.assign(element, { setAttribute, getAttribute })
  return element
}

export const xtermDocument: Document = new Proxy(document, {
  get(target, name) {
    if (name === 'createElement') return createElement
    const value: unknown = Reflect.get(target, name, target)
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
  }
})

/** Opens a terminal: one of its parts takes the page's own document whatever it is given, so that is lent the same ways. */
export function opening(open: () => void): void {
  document.createElement = createElement as typeof document.createElement
  try {
    open()
  } finally {
    Reflect.deleteProperty(document, 'createElement')
  }
}

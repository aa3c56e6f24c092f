// Markdown as elements: parsed, then cleaned of everything that could act or call outside. What comes in was written by a
// model or by whoever the model read.

import DOMPurify from 'dompurify'
import { parsed } from './parse-markdown'

const ALLOWED_TAGS = ['p', 'br', 'hr', 'strong', 'em', 'del', 'code', 'pre', 'ul', 'ol', 'li', 'blockquote', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'sup', 'sub', 'input']
const ALLOWED_ATTR = ['href', 'align', 'start', 'type', 'checked', 'disabled']
/** Of these the ones that are no addresses, and so need not look like one. */
const ADD_URI_SAFE_ATTR = ALLOWED_ATTR.slice(1)

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank')
    node.setAttribute('rel', 'noopener noreferrer nofollow')
  }
  if (node.tagName === 'INPUT' && node.getAttribute('type') !== 'checkbox') node.remove()
})

/** Nothing where the text cannot be parsed at a sane price: it is shown as it is. */
export function markdown(text: string): DocumentFragment | null {
  const html = parsed(text)
  if (html === null) return null
  return DOMPurify.sanitize(html, { ALLOWED_TAGS, ALLOWED_ATTR, ADD_URI_SAFE_ATTR, ALLOWED_URI_REGEXP: /^(https?|mailto):/i, RETURN_DOM_FRAGMENT: true })
}

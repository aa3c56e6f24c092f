// Markdown as HTML that nobody has cleaned yet, with an end to what one text may cost: who wrote it may want the page to stand still.

import { Marked, Tokenizer } from 'marked'

/** Characters that are parsed: what is longer is shown as it is. */
const CHARS_MAX = 400_000
/** Characters that the search for the ends of emphasis may go through in one text. Where there is no end it goes through the whole
 *  paragraph, from each mark anew: a few kilobytes of marks take minutes. */
const SEARCHED_CHARS_MAX = 8_000_000
/** Characters in a row, of those that addresses are of, and spaces: each of them is begun at anew. */
const RUN_CHARS_MAX = 1_000
const RUN = new RegExp(`^[\\w.!#$%&'*+/=?^{|}~-]{${RUN_CHARS_MAX}}`)
const SPACES = new RegExp(`[^\\S\\n]{${RUN_CHARS_MAX}}`)
/** Quotes and lists in one another, at the beginning of a line. */
const NESTED = /^[ \t]*(?:>[ \t]?|(?:[-*+]|\d{1,9}[.)])[ \t]+){100}/m

class TooDear extends Error {}

let searched = 0
const marked = new Marked({
  gfm: true,
  breaks: true,
  tokenizer: {
    emStrong(...at) {
      const found = Tokenizer.prototype.emStrong.apply(this, at)
      if (/^[*_]/.test(at[0])) searched += (found?.raw ?? at[0]).length
      if (searched > SEARCHED_CHARS_MAX) throw new TooDear()
      return found
    },
    inlineText(src) {
      if (RUN.test(src)) throw new TooDear()
      return false
    }
  }
})

/** Nothing where the text is too long, too dear, or nested beyond sense. */
export function parsed(text: string): string | null {
  if (text.length > CHARS_MAX || SPACES.test(text) || NESTED.test(text)) return null
  searched = 0
  try {
    return marked.parse(text, { async: false })
  } catch (error) {
    if (error instanceof TooDear || error instanceof RangeError) return null
    throw error
  }
}

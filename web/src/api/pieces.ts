/** A text in pieces of so many characters at the most; none ends in the midst of one. */
export function* pieces(text: string, max: number): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = from + max
    const splits = end < text.length && /[\uD800-\uDBFF]/.test(text.charAt(end - 1))
    yield text.slice(from, (from = splits ? end - 1 : end))
  }
}

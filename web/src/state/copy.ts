// Into the clipboard and out of it. A page that came over plain HTTP from another machine is not let near it: there the browser
// copies what is marked, as it did before there was a clipboard to write to.

/** Whether the text was copied. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const field = document.createElement('textarea')
    field.value = text
    field.className = 'visually-hidden'
    // In an open dialog: what is outside of it cannot be marked.
    const place = document.querySelector('dialog[open]') ?? document.body
    place.append(field)
    field.select()
    const copied = document.execCommand('copy')
    field.remove()
    return copied
  }
}

/** What is in the clipboard; null where the page is not let near it, and the person has to put it in themselves. */
export async function pasteText(): Promise<string | null> {
  try {
    return await navigator.clipboard.readText()
  } catch {
    return null
  }
}

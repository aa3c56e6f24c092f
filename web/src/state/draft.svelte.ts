// What the person was writing, on the first screen and to each task: it survives a look at another one.

import { SvelteMap } from 'svelte/reactivity'

let text = $state('')
let files = $state.raw<File[]>([])

export const draft = {
  get text(): string {
    return text
  },
  set text(value: string) {
    text = value
  },
  get files(): File[] {
    return files
  },
  set files(value: File[]) {
    files = value
  },
  clear(): void {
    text = ''
    files = []
  }
}

const replies = new SvelteMap<string, string>()

/** Words to a task that are not sent yet. */
export const replyTo = (id: string) => ({
  get text(): string {
    return replies.get(id) ?? ''
  },
  set text(value: string) {
    if (value) replies.set(id, value)
    else replies.delete(id)
  }
})

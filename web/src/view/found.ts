// Where a search found a task, if not in the words it is listed with: the name of a file, or a piece of the agent's last words.

import type { TaskSummary } from '../api/client'

const CHARS_BEFORE = 16
const CHARS_MAX = 80

export function foundIn(task: Pick<TaskSummary, 'task' | 'text' | 'inputs' | 'deliverables'>, search: string): string {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const hidden = words.filter((word) => !task.task.toLowerCase().includes(word))
  for (const word of hidden) {
    const names = [...task.deliverables.map((file) => file.name), ...task.inputs]
    const name = names.find((name) => name.toLowerCase().includes(word))
    if (name !== undefined) return name
    const at = task.text.toLowerCase().indexOf(word)
    if (at >= 0) return piece(task.text, at)
  }
  return ''
}

function piece(text: string, at: number): string {
  // From the beginning of a word.
  const near = text.slice(Math.max(0, at - CHARS_BEFORE), at)
  const from = at <= CHARS_BEFORE ? 0 : at - near.replace(/^\S*\s/, '').length
  const cut = text.slice(from, from + CHARS_MAX).replace(/[\s*_`#>]+/g, ' ').trim()
  return `${from > 0 ? '… ' : ''}${cut}`
}

// Tasks of one kind, newest first, as many pages of them as the person asked for; the first page is asked for anew again and again.

import { api, type TaskFilter, type TaskSummary } from '../api/client'

/** Whether a task comes after another one in the server's order. */
const isAfter = (task: TaskSummary, other: TaskSummary): boolean =>
  task.created_ms === other.created_ms ? task.id < other.id : task.created_ms < other.created_ms

export class TaskPages {
  #list = $state.raw<TaskSummary[]>([])
  #next = $state<string | null>(null)
  #loaded = $state(false)
  #broken = $state.raw<string[]>([])

  constructor(readonly filter: TaskFilter = {}) {}

  get list(): TaskSummary[] {
    return this.#list
  }
  get loaded(): boolean {
    return this.#loaded
  }
  get hasMore(): boolean {
    return this.#next !== null
  }

  /** Tasks whose record cannot be read. */
  get broken(): string[] {
    return this.#broken
  }

  /** Asks for the first page; what was shown beyond it stays. */
  async refresh(): Promise<void> {
    const page = await api.tasks(this.filter)
    const last = page.tasks.at(-1)
    const older = page.next && last ? this.#list.filter((task) => isAfter(task, last)) : []
    this.#list = [...page.tasks, ...older]
    if (older.length === 0) this.#next = page.next
    this.#broken = page.broken
    this.#loaded = true
  }

  async more(): Promise<void> {
    const from = this.#next
    if (from === null) return
    const page = await api.tasks(this.filter, from)
    // Asked for twice at once, it is there once.
    if (this.#next !== from) return
    this.#list = [...this.#list, ...page.tasks]
    this.#next = page.next
  }

  forget(id: string): void {
    this.#list = this.#list.filter((task) => task.id !== id)
  }
}

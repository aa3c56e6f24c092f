// The list of tasks, asked for again and again while the page is open, and a notice when one of them waits or ends.

import { api, Refusal, type TaskSummary } from '../api/client'
import { t } from '../i18n/index.svelte'
import { prefs } from './prefs.svelte'
import { route, taskPath } from './route.svelte'

const BUSY_MS = 2_000
const CALM_MS = 8_000
const HIDDEN_MS = 15_000

let list = $state.raw<TaskSummary[]>([])
let cursor = $state<string | null>(null)
let loaded = $state(false)
let problem = $state.raw<Refusal | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined
/** Pages beyond the first, as they were when the person asked for them. */
let older: TaskSummary[] = []
let started = false

export const tasks = {
  get list(): TaskSummary[] {
    return list
  },
  get loaded(): boolean {
    return loaded
  },
  get problem(): Refusal | null {
    return problem
  },
  get hasMore(): boolean {
    return cursor !== null
  },
  find: (id: string): TaskSummary | undefined => list.find((task) => task.id === id),
  start(): void {
    if (started) return
    started = true
    document.addEventListener('visibilitychange', () => !document.hidden && void tasks.refresh())
    window.addEventListener('online', () => void tasks.refresh())
    void tasks.refresh()
  },
  async refresh(): Promise<void> {
    clearTimeout(timer)
    try {
      const page = await api.tasks()
      const fresh = new Set(page.tasks.map((task) => task.id))
      const before = list
      older = older.filter((task) => !fresh.has(task.id))
      list = [...page.tasks, ...older]
      if (older.length === 0) cursor = page.next
      if (loaded) announce(before, list)
      loaded = true
      problem = null
    } catch (error) {
      if (error instanceof Refusal) problem = error
      else throw error
    }
    const busy = problem !== null || list.some((task) => task.state === 'running' || task.state === 'queued')
    timer = setTimeout(() => void tasks.refresh(), document.hidden ? HIDDEN_MS : busy ? BUSY_MS : CALM_MS)
  },
  async more(): Promise<void> {
    if (!cursor) return
    const page = await api.tasks(cursor)
    older = [...older, ...page.tasks]
    list = [...list, ...page.tasks]
    cursor = page.next
  },
  forget(id: string): void {
    older = older.filter((task) => task.id !== id)
    list = list.filter((task) => task.id !== id)
  }
}

const TELLING: Partial<Record<TaskSummary['state'], 'notify.waiting' | 'notify.done' | 'notify.failed' | 'notify.stopped'>> = {
  waiting: 'notify.waiting',
  done: 'notify.done',
  failed: 'notify.failed',
  stopped: 'notify.stopped'
}

/** Tells of tasks that came to wait or to an end, where the person wants it and does not look. */
function announce(before: TaskSummary[], after: TaskSummary[]): void {
  if (!prefs.notify || !('Notification' in window) || Notification.permission !== 'granted' || !document.hidden) return
  const states = new Map(before.map((task) => [task.id, task.state]))
  for (const task of after) {
    const was = states.get(task.id)
    const key = TELLING[task.state]
    if (!key || was === undefined || was === task.state) continue
    const notice = new Notification(t(key), { body: task.question ?? task.task.slice(0, 160), tag: task.id, icon: '/icon.svg' })
    notice.onclick = () => {
      window.focus()
      route.go(taskPath(task.id))
    }
  }
}

// The list of tasks, asked for again and again while the page is open; those that the person looks for, which the server finds
// among all of them; and a notice when a task waits or ends.

import { Refusal, type TaskFilter, type TaskSummary } from '../api/client'
import { t } from '../i18n/index.svelte'
import { prefs } from './prefs.svelte'
import { route, taskPath } from './route.svelte'
import { TaskPages } from './task-pages.svelte'

const BUSY_MS = 2_000
const CALM_MS = 8_000
const HIDDEN_MS = 15_000

const all = new TaskPages()
/** What the person looks for, and what is shown of it: the last answer stays until there is a new one. */
let wanted: TaskPages | null = null
let found = $state.raw<TaskPages | null>(null)
let problem = $state.raw<Refusal | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined
let started = false
/** What is asked just now, and what comes after it. */
let asked: Promise<void> | null = null
let next: Promise<void> | null = null

export const tasks = {
  /** The latest, whatever the person looks for. */
  get list(): TaskSummary[] {
    return all.list
  },
  get loaded(): boolean {
    return all.loaded
  },
  get hasMore(): boolean {
    return all.hasMore
  },
  /** Those whose record cannot be read. */
  get broken(): string[] {
    return all.broken
  },
  /** What the person looks for. */
  get shown(): TaskPages {
    return found ?? all
  },
  get problem(): Refusal | null {
    return problem
  },
  find: (id: string): TaskSummary | undefined => all.list.find((task) => task.id === id) ?? found?.list.find((task) => task.id === id),
  start(): void {
    if (started) return
    started = true
    document.addEventListener('visibilitychange', () => !document.hidden && void tasks.refresh())
    window.addEventListener('online', () => void tasks.refresh())
    void tasks.refresh()
  },
  /** One at a time: an older answer that came later would undo a newer one. Whoever asks meanwhile gets what is asked for next. */
  refresh(): Promise<void> {
    if (!asked) return (asked = ask().finally(() => (asked = null)))
    return (next ??= asked.catch(() => undefined).then(() => ((next = null), tasks.refresh())))
  },
  /** Shows only such tasks, of all there are; null shows them all. */
  async look(filter: TaskFilter | null): Promise<void> {
    const pages = (wanted = filter && new TaskPages(filter))
    if (pages) await answered(() => pages.refresh())
    if (wanted === pages && (pages?.loaded ?? true)) found = pages
  },
  more: (): Promise<void> => answered(() => tasks.shown.more()),
  forget(id: string): void {
    all.forget(id)
    found?.forget(id)
  }
}

async function ask(): Promise<void> {
  clearTimeout(timer)
  try {
    await answered(async () => {
      const before = all.loaded ? all.list : null
      await Promise.all([all.refresh(), wanted?.refresh()])
      found = wanted
      if (before) announce(before, all.list)
    })
  } finally {
    const busy = problem !== null || all.list.some((task) => task.state === 'running' || task.state === 'queued')
    clearTimeout(timer)
    timer = setTimeout(() => void tasks.refresh(), document.hidden ? HIDDEN_MS : busy ? BUSY_MS : CALM_MS)
  }
}

/** A refusal, or that there was no answer, is kept for the page to tell; the next refresh heals it. */
async function answered(ask: () => Promise<void>): Promise<void> {
  try {
    await ask()
    problem = null
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    problem = error
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
    tell(task, t(key))
  }
}

function tell(task: TaskSummary, what: string): void {
  let notice: Notification
  try {
    notice = new Notification(what, { body: task.question ?? task.task.slice(0, 160), tag: task.id, icon: '/icon.svg' })
  } catch {
    // Chrome on a phone has them, and lets no page make one.
    return
  }
  notice.onclick = () => {
    window.focus()
    route.go(taskPath(task.id))
  }
}

// The task's browser as it is now: the page, and the latest picture of it. When the line breaks it is asked for anew. What a
// person does goes the other way one request at a time, in order; what they only passed over meanwhile is left out.

import { api, Refusal, refusal } from './client'
import type { components } from './openapi'
import { chunks, Frames } from './stream'

export type Act = components['schemas']['BrowserAct']

export interface BrowserPage {
  title: string
  address: string
  loading: boolean
  crashed: boolean
  question: { message: string; wants_text: boolean } | null
}

export interface BrowserFrame {
  width: number
  height: number
  jpeg: string
}

export interface BrowserWatcher {
  page(page: BrowserPage): void
  frame(frame: BrowserFrame): void
  /** There is no browser to see. */
  none(): void
  line(state: 'live' | 'lost' | 'over'): void
}

const RETRY_MS = 1_000
/** The server says something every second. */
const SILENCE_MAX_MS = 20_000

/** Watches until it is told to stop; gives what stops it. */
export function watchBrowser(task: string, watcher: BrowserWatcher): () => void {
  const stop = new AbortController()
  void follow(api.browserUrl(task), stop.signal, watcher)
  return () => stop.abort()
}

async function follow(url: string, stop: AbortSignal, watcher: BrowserWatcher): Promise<void> {
  while (!stop.aborted) {
    try {
      if (await listen(url, stop, watcher)) {
        if (!stop.aborted) watcher.line('over')
        return
      }
    } catch {
      // Broken off, or never reached.
    }
    if (stop.aborted) return
    watcher.line('lost')
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
}

/** Listens once. True where there is no use in asking again. */
async function listen(url: string, stop: AbortSignal, watcher: BrowserWatcher): Promise<boolean> {
  const abort = new AbortController()
  const give = () => abort.abort()
  stop.addEventListener('abort', give, { once: true })
  let silence = setTimeout(give, SILENCE_MAX_MS)
  try {
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal, cache: 'no-store' })
    if (!response.ok || !response.body) {
      const { status } = await refusal(response)
      return status === 401 || status === 403 || status === 404
    }
    watcher.line('live')
    const frames = new Frames()
    for await (const chunk of chunks(response.body)) {
      clearTimeout(silence)
      silence = setTimeout(give, SILENCE_MAX_MS)
      for (const { kind, data } of frames.push(chunk)) {
        if (stop.aborted) return true
        if (kind === 'frame') watcher.frame(JSON.parse(data) as BrowserFrame)
        else if (kind === 'page') watcher.page(JSON.parse(data) as BrowserPage)
        else if (kind === 'none') watcher.none()
        else if (kind === 'end') return true
      }
    }
    return false
  } finally {
    clearTimeout(silence)
    stop.removeEventListener('abort', give)
  }
}

/** Acts sent at one time, and those that wait. */
const ACTS_MAX = 64
const WAITING_MAX = 1_000

/** The person's hand on its way into the page. */
export class Hand {
  #waiting: Act[] = []
  #sending = false

  constructor(
    readonly task: string,
    readonly onfailure: (problem: Refusal) => void
  ) {}

  act(act: Act): void {
    const last = this.#waiting.at(-1)
    if (act.act === 'move' && last?.act === 'move') this.#waiting.pop()
    if (act.act === 'wheel' && last?.act === 'wheel') {
      this.#waiting.pop()
      act = { ...act, across: (act.across ?? 0) + (last.across ?? 0), down: act.down + last.down }
    }
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(act)
    if (!this.#sending) void this.#send()
  }

  async #send(): Promise<void> {
    this.#sending = true
    while (this.#waiting.length > 0) {
      try {
        await api.browserInput(this.task, this.#waiting.splice(0, ACTS_MAX))
      } catch (problem) {
        // It is not known whether it was done: what follows would be done to another page than was meant.
        this.#waiting = []
        if (problem instanceof Refusal) this.onfailure(problem)
        else throw problem
      }
    }
    this.#sending = false
  }
}

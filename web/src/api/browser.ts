// The task's browser as it is now: the page, and the latest picture of it. When the line breaks it is asked for anew. What a
// person does goes the other way one request at a time, in order; what they only passed over meanwhile is left out.

import { api, Refusal } from './client'
import type { components } from './openapi'
import { pieces } from './pieces'
import { watch } from './stream'

export type Act = components['schemas']['BrowserAct']
export type Going = components['schemas']['BrowserGoing']

export interface BrowserTab {
  number: number
  title: string
  address: string
  shown: boolean
}

export interface BrowserPage {
  title: string
  address: string
  loading: boolean
  crashed: boolean
  question: { number: number; message: string; wants_text: boolean } | null
  /** It asks for files. */
  wants_files: { many: boolean } | null
  tabs: BrowserTab[]
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

/** The server says something every second. */
const SILENCE_MAX_MS = 20_000

/** Watches until it is told to stop; gives what stops it. */
export function watchBrowser(task: string, watcher: BrowserWatcher): () => void {
  return watch(api.browserUrl(task), SILENCE_MAX_MS, {
    frame({ kind, data }) {
      if (kind === 'frame') watcher.frame(JSON.parse(data) as BrowserFrame)
      else if (kind === 'page') watcher.page(JSON.parse(data) as BrowserPage)
      else if (kind === 'none') watcher.none()
      else if (kind === 'end') watcher.line('over')
      return kind === 'end'
    },
    line: (state) => watcher.line(state),
    refused: () => watcher.line('over')
  })
}

/** Acts sent at one time, the characters of their texts together, and acts that wait. */
const ACTS_MAX = 64
const CHARS_MAX = 20_000
const WAITING_MAX = 1_000

/** The person's hand on its way into the page. */
export class Hand {
  #waiting: Act[] = []
  #sending = false
  #done: Promise<void> = Promise.resolve()

  constructor(
    readonly task: string,
    readonly onfailure: (problem: Refusal) => void
  ) {}

  act(act: Act): void {
    if (act.act === 'text' && act.text.length > CHARS_MAX) {
      for (const text of pieces(act.text, CHARS_MAX)) this.act({ act: 'text', text })
      return
    }
    const last = this.#waiting.at(-1)
    if (act.act === 'move' && last?.act === 'move') this.#waiting.pop()
    if (act.act === 'wheel' && last?.act === 'wheel') {
      this.#waiting.pop()
      act = { ...act, across: (act.across ?? 0) + (last.across ?? 0), down: act.down + last.down }
    }
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(act)
    if (!this.#sending) this.#done = this.#send()
  }

  /** Comes when all that was done is with the page. */
  get done(): Promise<void> {
    return this.#done
  }

  async #send(): Promise<void> {
    this.#sending = true
    try {
      while (this.#waiting.length > 0) await api.browserInput(this.task, this.#next())
    } catch (problem) {
      // It is not known whether it was done: what follows would be done to another page than was meant.
      this.#waiting = []
      if (problem instanceof Refusal) this.onfailure(problem)
      else throw problem
    } finally {
      this.#sending = false
    }
  }

  /** As much of what waits as goes at one time. */
  #next(): Act[] {
    let [acts, chars] = [0, 0]
    for (const act of this.#waiting) {
      chars += act.act === 'text' ? act.text.length : 0
      if (acts === ACTS_MAX || (acts > 0 && chars > CHARS_MAX)) break
      acts += 1
    }
    return this.#waiting.splice(0, acts)
  }
}

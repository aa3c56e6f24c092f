// A task's events as they come, for as long as somebody looks: what there is in large pages, then the stream, and when it breaks
// the same again from the last number seen, waiting longer each time. It is not EventSource, which would not say why it was
// refused nor wait its turn.

import { refusal } from './client'
import type { Recorded } from './events'

export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  /** It broke off and is tried again by itself. */
  | { state: 'lost'; sinceMs: number }
  /** It will not come back: the task is gone, or the person is not let in. */
  | { state: 'refused'; status: number; detail: string; hint: string }

export interface Listener {
  events(batch: Recorded[]): void
  /** Words of the model as they come, or null when they are withdrawn; the finished reply is an event. */
  words(effect: number, text: string | null): void
  connection(connection: Connection): void
}

/** As many as the server gives at a time: a long task comes in a few answers. */
const PAGE_EVENTS = 2_000
/** How often a task is looked at anew that has pages only. */
const POLL_MS = 4_000

const BACKOFF_FIRST_MS = 400
const BACKOFF_MAX_MS = 10_000
/** The server says "still here" every 15 s: longer silence is a dead line. */
const SILENCE_MAX_MS = 40_000
/** A page nobody looks at lets its place go after this long, for a browser has only six per server. */
const HIDDEN_MAX_MS = 30_000

export class EventStream {
  #abort: AbortController | null = null
  #stopped = false
  #failures = 0
  #lostSince = 0
  #wake: (() => void) | null = null
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined
  #resting = false

  constructor(
    readonly url: string,
    private after: number,
    private readonly listener: Listener,
    /** Whether there is a stream, or pages only. */
    private readonly streams = true
  ) {
    document.addEventListener('visibilitychange', this.#visibility)
    window.addEventListener('online', this.#hurry)
    void this.#run()
  }

  stop(): void {
    this.#stopped = true
    document.removeEventListener('visibilitychange', this.#visibility)
    window.removeEventListener('online', this.#hurry)
    clearTimeout(this.#hiddenTimer)
    this.#abort?.abort()
    this.#wake?.()
  }

  #hurry = (): void => this.#wake?.()

  #visibility = (): void => {
    clearTimeout(this.#hiddenTimer)
    if (document.hidden) {
      this.#hiddenTimer = setTimeout(() => {
        this.#resting = true
        this.#abort?.abort()
      }, HIDDEN_MAX_MS)
    } else {
      this.#resting = false
      this.#wake?.()
    }
  }

  async #run(): Promise<void> {
    this.listener.connection({ state: 'connecting' })
    while (!this.#stopped) {
      try {
        if (await this.#listen()) return
      } catch {
        // Broken off, or never reached: the loop asks again.
      }
      if (this.#stopped) return
      if (this.#resting) {
        await this.#pause(Number.POSITIVE_INFINITY)
        continue
      }
      this.#lostSince ||= Date.now()
      if (this.#failures > 0) this.listener.connection({ state: 'lost', sinceMs: this.#lostSince })
      const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures)
      this.#failures += 1
      await this.#pause(wait * (0.75 + Math.random() / 2))
    }
  }

  /** Listens once. True where there is no use in asking again. */
  async #listen(): Promise<boolean> {
    const abort = new AbortController()
    this.#abort = abort
    while (!abort.signal.aborted) {
      if (!(await this.#pages(abort.signal))) return true
      if (this.streams) return await this.#hear(abort)
      this.#connected()
      await this.#pause(POLL_MS)
    }
    return false
  }

  /** What there is, a page at a time. False where there is no use in asking again. */
  async #pages(signal: AbortSignal): Promise<boolean> {
    for (let more = true; more; ) {
      const response = await fetch(`${this.url}?after=${this.after}&limit=${PAGE_EVENTS}`, { signal, cache: 'no-store' })
      if (!response.ok) {
        if (await this.#isRefused(response)) return false
        throw new Error('no page')
      }
      const page = (await response.json()) as { events: Recorded[]; next: number | null; last_seq: number }
      const fresh = page.events.filter((recorded) => recorded.seq > this.after)
      more = page.next !== null
      this.after = Math.max(this.after, page.next ?? page.last_seq)
      if (fresh.length > 0) this.listener.events(fresh)
    }
    return true
  }

  async #isRefused(response: Response): Promise<boolean> {
    const { status, detail, hint } = await refusal(response)
    const final = status === 401 || status === 403 || status === 404 || status === 410
    if (final) this.listener.connection({ state: 'refused', status, detail, hint })
    return final
  }

  #connected(): void {
    this.#failures = 0
    this.#lostSince = 0
    this.listener.connection({ state: 'live' })
  }

  async #hear(abort: AbortController): Promise<boolean> {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (this.after > 0) headers['last-event-id'] = String(this.after)
    const response = await fetch(this.url, { headers, signal: abort.signal, cache: 'no-store' })
    if (!response.ok || !response.body) return await this.#isRefused(response)
    this.#connected()
    let silence = setTimeout(() => abort.abort(), SILENCE_MAX_MS)
    try {
      const lines = new Frames()
      for await (const chunk of chunks(response.body)) {
        clearTimeout(silence)
        silence = setTimeout(() => abort.abort(), SILENCE_MAX_MS)
        this.#take(lines.push(chunk))
      }
    } finally {
      clearTimeout(silence)
    }
    return false
  }

  #take(frames: Frame[]): void {
    const batch: Recorded[] = []
    for (const frame of frames) {
      if (frame.kind === 'words') {
        const told = JSON.parse(frame.data) as { effect: number; text: string | null }
        this.listener.words(told.effect, told.text)
      } else if (frame.data && frame.id) {
        const recorded = JSON.parse(frame.data) as Recorded
        if (recorded.seq > this.after) {
          this.after = recorded.seq
          batch.push(recorded)
        }
      }
    }
    if (batch.length > 0) this.listener.events(batch)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = null
        resolve()
      }
    })
  }
}

/** What a watcher of a stream is told beside its frames. */
export interface Watched {
  /** True where nothing more is wanted. */
  frame(frame: Frame): boolean
  line(state: 'live' | 'lost'): void
  /** The server will not give it. */
  refused?(status: number): void
}

const RETRY_MS = 1_000

/** Watches a stream that tells what is so now, until it is told to stop or the stream is at its end; when the line breaks it is
 *  asked for anew. A page that nobody looks at lets it go, too, until somebody does. Gives what stops it. */
export function watch(url: string, silenceMaxMs: number, watched: Watched): () => void {
  const stop = new AbortController()
  void follow(url, silenceMaxMs, watched, stop.signal)
  return () => stop.abort()
}

async function follow(url: string, silenceMaxMs: number, watched: Watched, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      if (await listen(url, silenceMaxMs, watched, stop)) return
    } catch {
      // Broken off, or never reached.
    }
    if (stop.aborted) return
    if (document.hidden) {
      await seen(stop)
      continue
    }
    watched.line('lost')
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
}

/** Comes when the page is in sight again, or nothing more is wanted. */
function seen(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !stop.aborted) return
      document.removeEventListener('visibilitychange', look)
      stop.removeEventListener('abort', look)
      resolve()
    }
    document.addEventListener('visibilitychange', look)
    stop.addEventListener('abort', look)
  })
}

/** Listens once. True where there is no use in asking again. */
async function listen(url: string, silenceMaxMs: number, watched: Watched, stop: AbortSignal): Promise<boolean> {
  const abort = new AbortController()
  const give = () => abort.abort()
  stop.addEventListener('abort', give, { once: true })
  let silence = setTimeout(give, silenceMaxMs)
  let unseen: ReturnType<typeof setTimeout> | undefined
  const look = () => {
    clearTimeout(unseen)
    if (document.hidden) unseen = setTimeout(give, HIDDEN_MAX_MS)
  }
  document.addEventListener('visibilitychange', look)
  look()
  try {
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal, cache: 'no-store' })
    if (!response.ok || !response.body) {
      const { status } = await refusal(response)
      const final = status === 401 || status === 403 || status === 404
      if (final && !stop.aborted) watched.refused?.(status)
      return final
    }
    watched.line('live')
    const frames = new Frames()
    for await (const chunk of chunks(response.body)) {
      clearTimeout(silence)
      silence = setTimeout(give, silenceMaxMs)
      for (const frame of frames.push(chunk)) if (stop.aborted || watched.frame(frame)) return true
    }
    return false
  } finally {
    clearTimeout(silence)
    clearTimeout(unseen)
    document.removeEventListener('visibilitychange', look)
    stop.removeEventListener('abort', give)
  }
}

/** The text of an answer, in the pieces it comes in. */
async function* chunks(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    yield value
  }
}

export interface Frame {
  id: string
  kind: string
  data: string
}

/** Cuts a stream of text into the frames of `text/event-stream`, whatever the pieces it comes in. */
export class Frames {
  #rest = ''

  push(chunk: string): Frame[] {
    const text = (this.#rest + chunk).replaceAll('\r\n', '\n')
    const pieces = text.split('\n\n')
    this.#rest = pieces.pop() ?? ''
    return pieces.map(frame).filter((frame) => frame.data !== '' || frame.id !== '')
  }
}

function frame(text: string): Frame {
  const frame: Frame = { id: '', kind: 'message', data: '' }
  const data: string[] = []
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    const field = line.slice(0, colon)
    if (field === 'data') data.push(value)
    else if (field === 'id') frame.id = value
    else if (field === 'event') frame.kind = value
  }
  frame.data = data.join('\n')
  return frame
}

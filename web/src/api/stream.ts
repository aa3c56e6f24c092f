// A task's events as they come, for as long as somebody looks: what there is in large pages, then the stream, and when it breaks
// the same again from the last number seen, waiting longer each time. It is not EventSource, which would not say why it was
// refused nor wait its turn.

import { clock } from './clock'
import { refusal, type Refusal } from './client'
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
  readonly #stop = new AbortController()
  #failures = 0
  #lostSince = 0

  constructor(
    readonly url: string,
    private after: number,
    private readonly listener: Listener,
    /** Whether there is a stream, or pages only. */
    private readonly streams = true
  ) {
    listener.connection({ state: 'connecting' })
    void follow(SILENCE_MAX_MS, this.#stop.signal, (line) => this.#listen(line), (line) => this.#broke(line))
  }

  stop(): void {
    this.#stop.abort()
  }

  /** A short break is not told; a silence was long already. */
  async #broke({ silent }: Line): Promise<void> {
    this.#lostSince ||= Date.now()
    if (silent || this.#failures > 0) this.listener.connection({ state: 'lost', sinceMs: this.#lostSince })
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures)
    this.#failures += 1
    await pause(wait * (0.75 + Math.random() / 2), this.#stop.signal)
  }

  async #listen(line: Line): Promise<boolean> {
    while (!line.signal.aborted) {
      if (!(await this.#pages(line))) return true
      if (this.streams) return await hear(this.url, line, this.#watched, this.after)
      this.#connected()
      await pause(POLL_MS, line.signal)
    }
    return false
  }

  /** What there is, a page at a time. False where there is no use in asking again. */
  async #pages(line: Line): Promise<boolean> {
    for (let more = true; more; ) {
      const response = await line.ask(`${this.url}?after=${this.after}&limit=${PAGE_EVENTS}`)
      if (!response.ok || !response.body) {
        if (await isRefused(response, line, this.#watched)) return false
        throw new Error('no page')
      }
      let text = ''
      for await (const chunk of line.chunks(response.body)) text += chunk
      const page = JSON.parse(text) as { events: Recorded[]; next: number | null; last_seq: number }
      const fresh = page.events.filter((recorded) => recorded.seq > this.after)
      more = page.next !== null
      this.after = Math.max(this.after, page.next ?? page.last_seq)
      if (fresh.length > 0) this.listener.events(fresh)
    }
    return true
  }

  #connected(): void {
    this.#failures = 0
    this.#lostSince = 0
    this.listener.connection({ state: 'live' })
  }

  readonly #watched: Watched = {
    frame: (frame) => (this.#take(frame), false),
    line: () => this.#connected(),
    refused: ({ status, detail, hint }) => this.listener.connection({ state: 'refused', status, detail, hint })
  }

  #take(frame: Frame): void {
    if (frame.kind === 'words') {
      const told = JSON.parse(frame.data) as { effect: number; text: string | null }
      this.listener.words(told.effect, told.text)
    } else if (frame.data && frame.id) {
      const recorded = JSON.parse(frame.data) as Recorded
      if (recorded.seq <= this.after) return
      this.after = recorded.seq
      this.listener.events([recorded])
    }
  }
}

/** What a watcher of a stream is told beside its frames. */
export interface Watched {
  /** True where nothing more is wanted. */
  frame(frame: Frame): boolean
  line(state: 'live' | 'lost'): void
  /** The server will not give it. */
  refused?(why: Refusal): void
}

const RETRY_MS = 1_000

/** Watches a stream that tells what is so now, until it is told to stop or the stream is at its end; when the line breaks it is
 *  asked for anew. A page that nobody looks at lets it go, too, until somebody does. Gives what stops it. */
export function watch(url: string, silenceMaxMs: number, watched: Watched): () => void {
  const stop = new AbortController()
  const broke = async () => {
    watched.line('lost')
    await pause(RETRY_MS, stop.signal)
  }
  void follow(silenceMaxMs, stop.signal, (line) => hear(url, line, watched), broke)
  return () => stop.abort()
}

/** Listens again and again, until there is no use in it. What ends while nobody looks begins anew when somebody does. */
async function follow(silenceMaxMs: number, stop: AbortSignal, listen: (line: Line) => Promise<boolean>, broke: (line: Line) => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    const line = new Line(silenceMaxMs, stop)
    try {
      if (await listen(line)) return
    } catch {
      // Broken off, or never reached.
    } finally {
      line.end()
    }
    if (!stop.aborted && !document.hidden) await broke(line)
    if (!stop.aborted && document.hidden) await seen(stop)
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

/** Comes after so long; earlier where the network is there again, somebody looks, or nothing more is wanted. */
function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer)
      window.removeEventListener('online', over)
      document.removeEventListener('visibilitychange', look)
      stop.removeEventListener('abort', over)
      resolve()
    }
    const look = () => document.hidden || over()
    const timer = setTimeout(over, ms)
    window.addEventListener('online', over)
    document.addEventListener('visibilitychange', look)
    stop.addEventListener('abort', over)
    if (stop.aborted) over()
  })
}

/** One line to the server: it is let go where nothing comes of it for too long, where nobody looks, and where nothing more is
 *  wanted. */
class Line {
  readonly #abort = new AbortController()
  readonly signal = this.#abort.signal
  /** Nothing came of it for too long. */
  silent = false
  #silence: ReturnType<typeof setTimeout> | undefined
  #unseen: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly silenceMaxMs: number,
    readonly stop: AbortSignal
  ) {
    stop.addEventListener('abort', this.#letGo)
    document.addEventListener('visibilitychange', this.#look)
    this.#look()
    this.#heard()
  }

  async ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
    const response = await fetch(url, { headers, signal: this.signal, cache: 'no-store' })
    clock.hear(response)
    this.#heard()
    return response
  }

  /** The text of an answer, in the pieces it comes in. */
  async *chunks(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      this.#heard()
      yield value
    }
  }

  end(): void {
    this.#letGo()
    clearTimeout(this.#silence)
    clearTimeout(this.#unseen)
    document.removeEventListener('visibilitychange', this.#look)
    this.stop.removeEventListener('abort', this.#letGo)
  }

  #letGo = (): void => this.#abort.abort()

  #heard(): void {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => {
      this.silent = true
      this.#letGo()
    }, this.silenceMaxMs)
  }

  #look = (): void => {
    clearTimeout(this.#unseen)
    if (document.hidden) this.#unseen = setTimeout(this.#letGo, HIDDEN_MAX_MS)
  }
}

/** Listens once. True where there is no use in asking again. */
async function hear(url: string, line: Line, watched: Watched, after = 0): Promise<boolean> {
  const headers: Record<string, string> = { accept: 'text/event-stream' }
  if (after > 0) headers['last-event-id'] = String(after)
  const response = await line.ask(url, headers)
  if (!response.ok || !response.body) return await isRefused(response, line, watched)
  watched.line('live')
  const frames = new Frames()
  for await (const chunk of line.chunks(response.body)) {
    for (const frame of frames.push(chunk)) if (line.stop.aborted || watched.frame(frame)) return true
  }
  return false
}

const FINAL: ReadonlySet<number> = new Set([401, 403, 404, 410])

/** Whether it is no use to ask again, which is told. */
async function isRefused(response: Response, line: Line, watched: Watched): Promise<boolean> {
  const why = await refusal(response)
  const final = FINAL.has(why.status)
  if (final && !line.stop.aborted) watched.refused?.(why)
  return final
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

// One task that is looked at: its events, and the moment of them that is on screen. Live means "the last one"; replay is the
// same view at another place. Nothing is worked out here: that is the reducer's.

import { EventStream, type Connection, type Listener } from '../api/stream'
import type { Recorded } from '../api/events'
import { Timeline } from '../view/timeline'
import { emptyView, type TaskView } from '../view/view'

/** Playing never waits longer than this between two events, whatever passed between them. */
const GAP_MAX_MS = 1_200
const GAP_MIN_MS = 15

/** What the record says of a reply takes the place of the words that came before it. */
const ENDS_WORDS: ReadonlySet<string> = new Set(['model_replied', 'model_failed', 'task_ended'])

export const SPEEDS = [1, 2, 4, 8, 16] as const

export class Session {
  readonly timeline = new Timeline()
  connection = $state.raw<Connection>({ state: 'connecting' })
  /** What is on screen. */
  view = $state.raw<TaskView>(emptyView())
  /** The number of the last event there is. */
  last = $state(0)
  /** The task is at an end, whatever moment is looked at. */
  over = $state(false)
  /** Where the plan moved on: marks on the slider. */
  phases = $state.raw<readonly number[]>([])
  /** The event that is looked at; null is live. */
  at = $state<number | null>(null)
  playing = $state(false)
  speed = $state<number>(4)
  /** What the model is just saying. */
  words = $state('')
  /** The first events have come. */
  ready = $state(false)
  #stream: EventStream
  /** The call whose words these are, and the last one whose reply is on the record: its words come too late. */
  #speaks = 0
  #whole = 0
  /** Its words so far. They come faster than a screen can show, and each showing lays out all of them. */
  #said = ''
  #frame = 0
  #wordsFrame = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(url: string, at: number | null, streams = true) {
    this.at = at
    const listener: Listener = {
      events: (batch) => this.#take(batch),
      words: (effect, text) => this.#say(effect, text),
      connection: (connection) => {
        this.connection = connection
        if (connection.state === 'live') this.#draw()
      }
    }
    this.#stream = new EventStream(url, 0, listener, streams)
  }

  close(): void {
    this.#stream.stop()
    cancelAnimationFrame(this.#frame)
    cancelAnimationFrame(this.#wordsFrame)
    clearTimeout(this.#timer)
  }

  get live(): boolean {
    return this.at === null
  }

  #take(batch: Recorded[]): void {
    for (const recorded of batch) {
      if (!this.timeline.push(recorded) || !ENDS_WORDS.has(recorded.event.event)) continue
      this.#hear('')
      if ('id' in recorded.event) this.#whole = Number(recorded.event.id)
    }
    // A long task comes in several pages: it is drawn when all of it is there, and not once for each of them.
    if (this.connection.state !== 'connecting') this.#draw()
  }

  /** Words of a reply that is not on the record yet; those of another call begin anew. */
  #say(effect: number, text: string | null): void {
    if (effect <= this.#whole) return
    this.#hear(text === null ? '' : effect === this.#speaks ? this.#said + text : text)
    this.#speaks = text === null ? 0 : effect
  }

  #hear(said: string): void {
    this.#said = said
    this.#wordsFrame ||= requestAnimationFrame(() => {
      this.#wordsFrame = 0
      this.words = this.#said
    })
  }

  /** However many events come, and however fast the slider is moved, the screen is drawn once a frame. */
  #draw(): void {
    if (this.#frame) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0
      this.last = this.timeline.last
      this.over = this.timeline.over
      if (this.phases.length !== this.timeline.phases.length) this.phases = this.timeline.phases.slice()
      this.ready = true
      // A moment that never was, once all of it is there.
      if (this.at !== null && this.at > this.last && this.connection.state === 'live') this.at = null
      if (this.at === null) this.view = this.timeline.head()
      else if (this.view.seq !== this.at) this.view = this.timeline.at(this.at)
    })
  }

  /** Looks at a moment. The last one of a task that goes on is "live". */
  seek(seq: number): void {
    this.pause()
    this.#show(seq)
  }

  toLive(): void {
    this.pause()
    this.at = null
    this.#draw()
  }

  step(by: 1 | -1): void {
    this.seek(this.timeline.stop(this.at ?? this.last, by))
  }

  play(): void {
    if (this.at === null || this.at >= this.last) this.#show(1)
    this.playing = true
    this.#schedule()
  }

  pause(): void {
    this.playing = false
    clearTimeout(this.#timer)
  }

  #show(seq: number): void {
    this.at = seq >= this.last ? null : Math.max(1, seq)
    this.#draw()
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const from = this.at
    if (!this.playing || from === null) {
      this.playing = false
      return
    }
    const next = this.timeline.stop(from, 1)
    const gap = this.timeline.timeOf(next) - this.timeline.timeOf(from)
    const wait = Math.max(GAP_MIN_MS, Math.min(gap, GAP_MAX_MS * 4) / this.speed)
    this.#timer = setTimeout(() => {
      this.#show(next)
      this.#schedule()
    }, Math.min(wait, GAP_MAX_MS))
  }
}

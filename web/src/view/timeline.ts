// All events of a task in order, and the view at any of them. Every so many events a copy of the view is kept, so that any
// moment is at most that many events away: a long task scrubs as smoothly as a short one.

import type { Digest, Recorded } from '../api/events'
import { apply, copyView, emptyView } from './reduce'
import type { TaskView } from './view'

/** Events from one kept copy to the next. */
export const KEYFRAME_EVENTS = 200

/** Pictures of pages that are fetched ahead of either side of a moment. */
const PICTURES_NEAR = 6

export class Timeline {
  readonly events: Recorded[] = []
  /** Places at which a person sees something new: what the arrow keys step through. */
  readonly stops: number[] = []
  /** Where the plan moved on. */
  readonly phases: number[] = []
  #head = emptyView()
  #keyframes: TaskView[] = []
  /** Events folded so far, replays included: what a test counts. */
  folded = 0

  /** The number of the last event. */
  get last(): number {
    return this.#head.seq
  }

  /** Whether the task is at an end, whatever moment is looked at. */
  get over(): boolean {
    return this.#head.ended !== null
  }

  /** Takes an event in, if it is the next one: a reconnected stream may repeat some. */
  push(recorded: Recorded): boolean {
    if (recorded.seq <= this.#head.seq) return false
    this.events.push(recorded)
    this.folded += 1
    const known = this.#head.entries.length
    if (apply(this.#head, recorded)) this.stops.push(recorded.seq)
    for (let at = known; at < this.#head.entries.length; at++) if (this.#head.entries[at]?.kind === 'phase') this.phases.push(recorded.seq)
    if (this.events.length % KEYFRAME_EVENTS === 0) this.#keyframes.push(copyView(this.#head))
    return true
  }

  /** Pictures of pages about a moment, the nearest first: what is looked at next when time is moved. */
  picturesNear(seq: number): Digest[] {
    const { pages } = this.#head
    const at = search(pages, (page) => page.seq > seq)
    const near = pages.slice(Math.max(0, at - PICTURES_NEAR), at + PICTURES_NEAR)
    near.sort((one, other) => Math.abs(one.seq - seq) - Math.abs(other.seq - seq))
    return [...new Set(near.flatMap((page) => page.picture ?? []))]
  }

  /** The view after the last event. */
  head(): TaskView {
    return copyView(this.#head)
  }

  /** The view after the event with this number, or the last one before it. */
  at(seq: number): TaskView {
    if (seq >= this.#head.seq) return this.head()
    const count = this.#countUntil(seq)
    const kept = Math.min(Math.floor(count / KEYFRAME_EVENTS), this.#keyframes.length)
    const keyframe = kept > 0 ? this.#keyframes[kept - 1] : undefined
    const view = keyframe ? copyView(keyframe) : emptyView()
    for (let i = kept * KEYFRAME_EVENTS; i < count; i++) {
      const recorded = this.events[i]
      if (!recorded) break
      this.folded += 1
      apply(view, recorded)
    }
    return view
  }

  /** The stop before or after a place; the ends stay where they are. */
  stop(seq: number, by: 1 | -1): number {
    if (by > 0) return this.stops[search(this.stops, (stop) => stop > seq)] ?? this.last
    const at = search(this.stops, (stop) => stop >= seq)
    return this.stops[at - 1] ?? this.stops[0] ?? 0
  }

  timeOf(seq: number): number {
    return this.events[Math.max(0, this.#countUntil(seq) - 1)]?.time_ms ?? 0
  }

  /** How many events have a number up to this one. */
  #countUntil(seq: number): number {
    return search(this.events, (recorded) => recorded.seq > seq)
  }
}

/** The first place of an ordered list at which the test holds, else its length. */
function search<T>(list: readonly T[], holds: (item: T) => boolean): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(list[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
}

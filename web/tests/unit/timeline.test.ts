// Any moment of a task is the same whichever way one comes to it, and is never far.

import { describe, expect, it } from 'vitest'
import type { Event, Recorded } from '../../src/api/events'
import { apply, emptyView } from '../../src/view/reduce'
import { KEYFRAME_EVENTS } from '../../src/view/timeline'
import { call, created, journal, recorded, result, started, timeline } from './journal'

/** A task of as many events as the design asks for. */
function long(events: number): Recorded[] {
  const list: Event[] = [created]
  for (let id = 1; list.length < events; id++)
    list.push(call(id, 'shell_exec', { command: `echo ${id}` }), started(id), result(id, `exit code 0\n${id}`, [{ fact: 'command', exit_code: 0, output_bytes: 2, running: false }]))
  return journal(...list.slice(0, events))
}

describe('a moment', () => {
  const events = recorded('demo')
  const line = timeline(events)

  it('is what the events before it make, wherever one looked before', () => {
    const forward = emptyView()
    for (const event of events) {
      apply(forward, event)
      expect(line.at(event.seq)).toEqual(forward)
    }
  })

  it('has its marks and its end whichever moment is looked at', () => {
    const phases = line.head().entries.filter((entry) => entry.kind === 'phase')
    expect(line.phases).toEqual(phases.map((phase) => phase.seq))
    expect(phases.length).toBeGreaterThan(3)
    expect([line.over, line.at(60).ended]).toEqual([true, null])
  })

  it('is not changed by looking at others', () => {
    const early = line.at(60)
    const copy = structuredClone(early)
    line.at(20)
    line.at(events.length)
    expect(early).toEqual(copy)
  })

  it('is stepped to by what a person sees', () => {
    const first = line.stops[0] ?? 0
    expect(line.stop(first, -1)).toBe(first)
    let at = first
    for (const stop of line.stops.slice(1)) {
      at = line.stop(at, 1)
      expect(at).toBe(stop)
    }
    expect(line.stop(at, 1)).toBe(line.last)
  })
})

it('a repeated event changes nothing', () => {
  const events = recorded('demo')
  const line = timeline([...events.slice(0, 50), ...events.slice(30)])
  expect(line.head()).toEqual(timeline(events).head())
  expect(line.events.length).toBe(events.length)
})

// The work is counted, not timed: a slower machine must not fail it.
it('10,000 events are folded once, and each place of the slider costs less than two keyframes', () => {
  const events = long(10_000)
  const line = timeline(events)
  expect(line.folded).toBe(10_000)
  for (let seq = 1; seq <= 10_000; seq += 37) {
    const before = line.folded
    expect(line.at(seq).seq).toBe(seq)
    expect(line.folded - before).toBeLessThan(KEYFRAME_EVENTS)
  }
})

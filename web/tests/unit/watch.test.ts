// What is watched as it is now: let go of by a page that nobody looks at, for a browser has few places for one server, and asked for
// anew when somebody does.

import { afterEach, expect, it, vi } from 'vitest'
import { watch } from '../../src/api/stream'

class Page extends EventTarget {
  hidden = false
  turn(hidden: boolean): void {
    this.hidden = hidden
    this.dispatchEvent(new Event('visibilitychange'))
  }
}

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function begin() {
  vi.useFakeTimers()
  const page = new Page()
  vi.stubGlobal('document', page)
  const asked: AbortSignal[] = []
  vi.stubGlobal('fetch', (_url: string, { signal }: { signal: AbortSignal }) => {
    asked.push(signal)
    const body = new ReadableStream({ start: (stream) => signal.addEventListener('abort', () => stream.error(new Error('aborted'))) })
    return Promise.resolve(new Response(body))
  })
  const lines: string[] = []
  const stop = watch('/v1/x', 3_600_000, { frame: () => false, line: (state) => void lines.push(state) })
  return { page, asked, lines, stop }
}

const later = (ms: number) => vi.advanceTimersByTimeAsync(ms)

it('it rests while nobody looks, and nobody is told of a lost line', async () => {
  const { page, asked, lines, stop } = begin()
  await later(0)
  expect([asked.length, lines]).toEqual([1, ['live']])
  page.turn(true)
  await later(29_000)
  expect(asked[0]?.aborted).toBe(false)
  await later(2_000)
  expect(asked[0]?.aborted).toBe(true)
  await later(600_000)
  expect([asked.length, lines]).toEqual([1, ['live']])
  page.turn(false)
  await later(0)
  expect([asked.length, lines]).toEqual([2, ['live', 'live']])
  stop()
})

it('a short look elsewhere changes nothing, and what is stopped while it rests stays so', async () => {
  const { page, asked, stop } = begin()
  await later(0)
  page.turn(true)
  await later(20_000)
  page.turn(false)
  await later(60_000)
  expect([asked.length, asked[0]?.aborted]).toEqual([1, false])
  page.turn(true)
  await later(60_000)
  stop()
  page.turn(false)
  await later(60_000)
  expect(asked.length).toBe(1)
})

// Lines to the server, of a task's events and of what is watched as it is now: let go of by a page that nobody looks at, for a
// browser has few places for one server, and asked for anew when somebody does.

import { afterEach, expect, it, vi } from 'vitest'
import { EventStream, watch } from '../../src/api/stream'

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

function open(hidden = false) {
  vi.useFakeTimers()
  const page = new Page()
  page.hidden = hidden
  vi.stubGlobal('document', page)
  const network = new EventTarget()
  vi.stubGlobal('window', network)
  return { page, network }
}

function begin() {
  const { page } = open()
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

/** A task's events, of which there are none: what was asked for, each with whether it was let go, and what was told of the line. */
function events(hidden: boolean, answer: (url: string) => BodyInit | Error | null = () => null) {
  const { page, network } = open(hidden)
  const asked: { url: string; signal: AbortSignal }[] = []
  vi.stubGlobal('fetch', (url: string, { signal }: { signal: AbortSignal }) => {
    asked.push({ url, signal })
    const given = answer(url)
    if (given instanceof Error) return Promise.reject(given)
    if (given === 'never') return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    const body = given ?? (url.includes('?') ? '{"events":[],"next":null,"last_seq":0}' : silent(signal))
    return Promise.resolve(new Response(body))
  })
  const lines: string[] = []
  const stream = new EventStream('/v1/x', 0, { events: () => undefined, words: () => undefined, connection: ({ state }) => void lines.push(state) })
  return { page, network, asked, lines, stream }
}

const silent = (signal: AbortSignal) => new ReadableStream({ start: (stream) => signal.addEventListener('abort', () => stream.error(new Error('aborted'))) })

it('a task opened where nobody looks is there when somebody does, and holds no line till then', async () => {
  const { page, network, asked, lines, stream } = events(true)
  await later(0)
  expect([asked.map(({ url }) => url), lines]).toEqual([['/v1/x?after=0&limit=2000', '/v1/x'], ['connecting', 'live']])
  await later(31_000)
  expect(asked[1]?.signal.aborted).toBe(true)
  network.dispatchEvent(new Event('online'))
  await later(600_000)
  expect(asked.length).toBe(2)
  page.turn(false)
  await later(0)
  expect([asked.length, lines]).toEqual([4, ['connecting', 'live', 'live']])
  stream.stop()
})

it('a task whose line breaks is not asked for while nobody looks', async () => {
  const { page, asked, stream } = events(false, () => new Error('no network'))
  await later(60_000)
  const tries = asked.length
  page.turn(true)
  await later(600_000)
  expect(asked.length).toBe(tries)
  page.turn(false)
  await later(0)
  expect(asked.length).toBe(tries + 1)
  stream.stop()
})

it.each([
  ['from the first page on', true],
  ['in the stream', false]
])('silence %s is a lost line, told as soon as it is known', async (_what, atOnce) => {
  let dead = atOnce
  const { lines, asked, stream } = events(false, () => (dead ? 'never' : null))
  await later(30_000)
  dead = true
  await later(9_000)
  expect(lines).toEqual(atOnce ? ['connecting'] : ['connecting', 'live'])
  await later(1_500)
  expect([lines.at(-1), asked.at(-1)?.url]).toEqual(['lost', '/v1/x?after=0&limit=2000'])
  const tries = asked.length
  await later(41_000)
  expect([asked.length, lines.at(-1)]).toEqual([tries + 1, 'lost'])
  dead = false
  await later(60_000)
  expect(lines.at(-1)).toBe('live')
  stream.stop()
})

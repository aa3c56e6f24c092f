// What fingers mean, where an enlarged picture lies, and what the keys of a terminal send.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Finger, type Point } from '../../src/view/fingers'
import { keyBytes, withControl } from '../../src/view/terminal-keys'
import { WHOLE, zoomed } from '../../src/view/zoom'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function watched() {
  const told: string[] = []
  const at = ({ x, y }: Point) => `${x},${y}`
  let now = 0
  const finger = new Finger(
    {
      tap: (to, count) => told.push(`tap ${at(to)} ${count}`),
      stroke: (to, across, down) => told.push(`stroke ${at(to)} by ${across},${down}`),
      grab: (to) => told.push(`grab ${at(to)}`),
      drag: (to) => told.push(`drag ${at(to)}`),
      drop: (to) => told.push(`drop ${at(to)}`),
      menu: (to) => told.push(`menu ${at(to)}`)
    },
    (held) => told.push(held ? 'held' : 'let go'),
    () => now
  )
  const on = (x: number, y: number): [Point, Point] => [{ x: x * 2, y: y * 2 }, { x, y }]
  return { told, finger, on, wait: (ms: number) => void (now += ms) }
}

it('a finger taps, taps twice, strokes, and after a while takes hold', () => {
  const { told, finger, on, wait } = watched()
  const tap = (x: number, y: number) => {
    finger.press(...on(x, y))
    finger.lift(on(x, y)[0])
  }
  tap(10, 10)
  wait(100)
  tap(12, 10)
  wait(100)
  tap(90, 10)
  wait(1_000)
  tap(90, 10)
  expect(told.splice(0)).toEqual(['tap 20,20 1', 'tap 24,20 2', 'tap 180,20 1', 'tap 180,20 1'])
  finger.press(...on(10, 100))
  finger.move(...on(10, 97))
  finger.move(...on(10, 80))
  finger.move(...on(10, 70))
  finger.lift(on(10, 70)[0])
  expect(told.splice(0)).toEqual(['stroke 20,160 by 0,40', 'stroke 20,140 by 0,20'])
  finger.press(...on(10, 10))
  vi.advanceTimersByTime(500)
  finger.lift(on(10, 10)[0])
  expect(told.splice(0)).toEqual(['held', 'let go', 'menu 20,20'])
  finger.press(...on(10, 10))
  vi.advanceTimersByTime(500)
  finger.move(...on(30, 10))
  finger.move(...on(40, 10))
  finger.lift(on(40, 10)[0])
  expect(told.splice(0)).toEqual(['held', 'grab 20,20', 'drag 60,20', 'drag 80,20', 'let go', 'drop 80,20'])
  // A second finger: the first one was none.
  finger.press(...on(10, 10))
  finger.leave()
  vi.advanceTimersByTime(500)
  finger.move(...on(60, 10))
  finger.lift(on(60, 10)[0])
  expect(told).toEqual([])
})

it('an enlarged picture keeps what was under the fingers, and never leaves its place empty', () => {
  const [room, picture] = [{ width: 400, height: 400 }, { width: 400, height: 200 }]
  const twice = zoomed(WHOLE, 2, room, picture, { x: 100, y: 100 })
  expect(twice).toEqual({ scale: 2, x: -100, y: -100 })
  expect(zoomed(twice, 1, room, picture, { x: 0, y: 0 }, { x: 500, y: 0 })).toMatchObject({ scale: 2, x: expect.closeTo(0), y: -100 })
  expect(zoomed(twice, 1, room, picture, { x: 0, y: 0 }, { x: -900, y: 0 })).toEqual({ scale: 2, x: -400, y: -100 })
  expect(zoomed(twice, 100, room, picture, { x: 0, y: 0 }).scale).toBe(5)
  expect(zoomed(twice, 0.1, room, picture, { x: 50, y: 0 }).scale).toBe(1)
})

it.each([
  ['Escape', false, '\x1b'],
  ['Tab', false, '\t'],
  ['ArrowUp', false, '\x1b[A'],
  ['ArrowUp', true, '\x1bOA'],
  ['Control+ArrowLeft', true, '\x1b[1;5D']
])('%s in a terminal', (name, application, wanted) => expect(keyBytes(name, application)).toBe(wanted))

it('a letter with Control is what it is on every terminal', () => {
  expect(['c', 'C', '[', ' ', '?', 'é', 'ab', '1'].map(withControl)).toEqual(['\x03', '\x03', '\x1b', '\0', '\x7f', 'é', 'ab', '1'])
})

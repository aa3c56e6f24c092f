// What an event costs, counted and not timed: a slower machine must not fail it, and a list that is walked through for each
// event must. Sixty events a second leave one frame for each; this is what has room in it.

import { expect, it } from 'vitest'
import type { Event, Recorded } from '../../src/api/events'
import { apply, copyView, emptyView } from '../../src/view/reduce'
import { rowsOf } from '../../src/view/rows'
import { terminalOf } from '../../src/view/terminal'
import type { TaskView } from '../../src/view/view'
import { call, created, journal, message, result, says, started } from './journal'

const EVENTS = 10_000

/** A long task of everything that comes often: words, commands, files, plans, questions. */
function long(): Recorded[] {
  const list: Event[] = [created]
  for (let id = 1; list.length < EVENTS; id++) {
    const command = call(id * 2, 'shell_exec', { command: `echo ${id}` })
    const done = result(id * 2, `exit code 0\n${id}`, [{ fact: 'command', exit_code: 0, output_bytes: 2, running: false }])
    list.push(says(id * 2 - 1, `Now ${id}.`), command, started(id * 2), done)
    if (id % 20 === 0) list.push(call(id * 2 + 1, 'file_write', { path: `f${id % 7}.txt`, content: `${id}` }), result(id * 2 + 1))
    if (id % 50 === 0) list.push(message(`Word ${id}`))
  }
  return journal(...list.slice(0, EVENTS))
}

/** Every look at and every change of a list or table of the view. */
class Counter {
  count = 0

  list<T>(items: T[]): T[] {
    return new Proxy(items, {
      get: (list, key, self) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) this.count += 1
        return Reflect.get(list, key, self) as unknown
      },
      set: (list, key, value: unknown, self) => {
        this.count += 1
        return Reflect.set(list, key, value, self)
      }
    })
  }

  table<K, V>(): Map<K, V> {
    const counter = this
    return new (class extends Map<K, V> {
      override get(key: K): V | undefined {
        counter.count += 1
        return super.get(key)
      }
      override set(key: K, value: V): this {
        counter.count += 1
        return super.set(key, value)
      }
      override *[Symbol.iterator](): MapIterator<[K, V]> {
        for (const entry of super.entries()) {
          counter.count += 1
          yield entry
        }
      }
    })()
  }

  view(): TaskView {
    const view = emptyView()
    return { ...view, entries: this.list(view.entries), contacts: this.list(view.contacts), open: this.table(), files: this.table(), connections: this.table(), hosts: this.table() }
  }
}

it('the reducer works as much at event 10,000 as at event 100', () => {
  const counter = new Counter()
  const view = counter.view()
  const costs = long().map((recorded) => {
    const before = counter.count
    apply(view, recorded)
    return counter.count - before
  })
  const most = (from: number, to: number) => Math.max(...costs.slice(from, to))
  expect(most(EVENTS - 1000, EVENTS)).toBeLessThanOrEqual(most(0, 1000))
  expect(most(0, EVENTS)).toBeLessThan(24)
})

it('a frame of a long task looks at each entry a few times at most', () => {
  const view = emptyView()
  for (const recorded of long()) apply(view, recorded)
  const counter = new Counter()
  const drawn = { ...copyView(view), entries: counter.list(view.entries.slice()) }
  rowsOf(drawn.entries)
  terminalOf(drawn, null)
  expect(counter.count).toBeLessThan(drawn.entries.length * 2)
})

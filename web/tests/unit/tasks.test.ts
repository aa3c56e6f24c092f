// The list of tasks goes on being asked for, whatever came of one answer.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'

let answers: (() => Response)[] = []
const listed = (...states: [id: string, state: string][]) => () => new Response(JSON.stringify({ tasks: states.map(([id, state]) => ({ id, state, task: id, created_ms: 1 })), next: null, broken: [] }))

async function start(more = {}) {
  const page = Object.assign(new EventTarget(), { hidden: true, documentElement: { dataset: {}, removeAttribute: () => undefined } })
  const location = new URL('http://localhost/')
  vi.stubGlobal('document', page)
  vi.stubGlobal('window', Object.assign(new EventTarget(), { location, ...more }))
  vi.stubGlobal('localStorage', { getItem: (key: string) => (key === 'thenar.notify' ? 'yes' : null), setItem: () => undefined })
  vi.stubGlobal('fetch', () => Promise.resolve((answers.shift() ?? listed())()))
  const { tasks } = await import('../../src/state/tasks.svelte')
  tasks.start()
  await vi.advanceTimersByTimeAsync(0)
  return tasks
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.resetModules()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const HIDDEN_MS = 15_000

it('an answer that is none is told, and the next one is taken', async () => {
  answers = [listed(['a', 'running']), () => new Response('<html>Sign in</html>'), listed(['a', 'done'])]
  const tasks = await start()
  expect([tasks.list[0]?.state, tasks.problem]).toEqual(['running', null])
  await vi.advanceTimersByTimeAsync(HIDDEN_MS)
  expect(tasks.problem).toMatchObject({ status: 0 })
  await vi.advanceTimersByTimeAsync(HIDDEN_MS)
  expect([tasks.list[0]?.state, tasks.problem]).toEqual(['done', null])
})

it('where a notice may not be made, the list goes on', async () => {
  answers = [listed(['a', 'running']), listed(['a', 'waiting']), listed(['a', 'done'])]
  class Notification {
    static permission = 'granted'
    constructor() {
      throw new TypeError('Illegal constructor')
    }
  }
  vi.stubGlobal('Notification', Notification)
  const tasks = await start({ Notification })
  await vi.advanceTimersByTimeAsync(HIDDEN_MS)
  expect([tasks.list[0]?.state, tasks.problem]).toEqual(['waiting', null])
  await vi.advanceTimersByTimeAsync(HIDDEN_MS)
  expect(tasks.list[0]?.state).toBe('done')
})

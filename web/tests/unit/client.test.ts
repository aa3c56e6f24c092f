// What becomes of a request that has no whole answer: it is told as a server that could not be reached.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { api, Refusal } from '../../src/api/client'

beforeEach(() => {
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: false }))
  vi.stubGlobal('window', new EventTarget())
  vi.stubGlobal('sessionStorage', { getItem: () => null, setItem: () => undefined, removeItem: () => undefined })
})
afterEach(() => vi.unstubAllGlobals())

const noAnswer = expect.objectContaining({ status: 0 }) as Refusal

it.each([
  ['a new task', (signal: AbortSignal) => api.create({ task: 'Read it', files: [new File(['a'], 'a.txt')], key: 'k' }, signal)],
  ['files for a page', (signal: AbortSignal) => api.browserUpload('t', [new File(['a'], 'a.txt')], signal)]
])('%s on its way can be broken off', async (_what, send) => {
  const fetched = vi.fn((_url: string, init: RequestInit) => new Promise<Response>((_, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error))))
  vi.stubGlobal('fetch', fetched)
  const abort = new AbortController()
  const sent = send(abort.signal)
  expect(fetched.mock.calls[0]?.[1].signal).toBe(abort.signal)
  abort.abort()
  await expect(sent).rejects.toEqual(noAnswer)
  await expect(sent).rejects.toBeInstanceOf(Refusal)
})

it.each([
  ['cut off', () => new ReadableStream({ start: (body) => (body.enqueue(new TextEncoder().encode('{"tasks":[')), body.error(new Error('gone'))) })],
  ['of something in between', () => '<html>Sign in</html>']
])('an answer %s is none', async (_what, body) => {
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(body())))
  await expect(api.tasks({})).rejects.toEqual(noAnswer)
})

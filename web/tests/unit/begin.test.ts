// The app begins whatever the address and what the browser keeps for it: a page that fails while it loads is a white one.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'

let page: EventTarget & { hidden: boolean; documentElement: { dataset: Record<string, string>; removeAttribute(): void; lang: string } }

beforeEach(() => {
  vi.resetModules()
  page = Object.assign(new EventTarget(), { hidden: false, documentElement: { dataset: {}, removeAttribute: () => undefined, lang: '' } })
  vi.stubGlobal('document', page)
  vi.stubGlobal('navigator', { language: 'en', languages: ['en'] })
  at('/')
})
afterEach(() => vi.unstubAllGlobals())

const at = (path: string) => vi.stubGlobal('window', Object.assign(new EventTarget(), { location: new URL(path, 'http://localhost') }))

it.each([
  ['/tasks/a%20b', { screen: 'task', id: 'a b', at: null }],
  ['/tasks/%E0%A4%A', { screen: 'nowhere' }]
])('%s is an address', async (path, wanted) => {
  at(path)
  const { route } = await import('../../src/state/route.svelte')
  expect(route.now).toEqual(wanted)
})

it.each(['{"a', 'null', '5', '"text"', '[1]'])('what was kept as %s is as if it were not there', async (text) => {
  vi.stubGlobal('localStorage', { getItem: () => text, setItem: () => undefined })
  const { prefs } = await import('../../src/state/prefs.svelte')
  expect([prefs.budget, prefs.isUnread('t', 1), prefs.split]).toMatchObject([{ cost: '', time: '', steps: '' }, false, expect.any(Number)])
  prefs.saw('t', 1)
  expect(prefs.isUnread('t', 2)).toBe(true)
})

it('in a browser that keeps nothing for the page, what is chosen holds till it is closed', async () => {
  for (const store of ['localStorage', 'sessionStorage']) vi.stubGlobal(store, null)
  const { prefs } = await import('../../src/state/prefs.svelte')
  prefs.theme = 'dark'
  expect([prefs.theme, page.documentElement.dataset['theme']]).toEqual(['dark', 'dark'])
  const { language, startLanguage } = await import('../../src/i18n/index.svelte')
  await startLanguage()
  await language.set('zh')
  expect([language.code, page.documentElement.lang]).toEqual(['zh', 'zh-Hans'])
  const { api } = await import('../../src/api/client')
  const fetched = vi.fn((_path: string, _init: RequestInit) => Promise.resolve(new Response(null, { status: 204 })))
  vi.stubGlobal('fetch', fetched)
  await api.remove('t')
  await api.remove('u')
  const [one, other] = fetched.mock.calls.map(([, init]) => new Headers(init.headers).get('thenar-hand'))
  expect(one).toMatch(/^[0-9a-f]{16}$/)
  expect(other).toBe(one)
})

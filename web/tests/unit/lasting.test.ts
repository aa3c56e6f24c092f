// How long something took, as each language says it.

import { afterEach, expect, it, vi } from 'vitest'
import { language } from '../../src/i18n/index.svelte'
import { lasting } from '../../src/parts/lasting'

afterEach(async () => {
  await language.set('en')
  vi.unstubAllGlobals()
})

it('spans are told in words of the language', async () => {
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined })
  vi.stubGlobal('document', { documentElement: {} })
  const spans = () => [480, 59_600, 3_661_000, 200_000_000].map(lasting)
  expect(spans()).toEqual(['0.5 s', '1 min 00 s', '1 h 01 min', '2 d 7 h'])
  await language.set('zh')
  expect(spans()).toEqual(['0.5 秒', '1 分 00 秒', '1 小时 01 分', '2 天 7 小时'])
})

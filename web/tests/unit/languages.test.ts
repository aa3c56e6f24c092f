// No text is missing in any language, none is left over, and all have the same places for values.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import en from '../../src/i18n/en.json'
import zh from '../../src/i18n/zh.json'

const english: Record<string, string> = en
const chinese: Record<string, string> = zh

/** Chinese has one form for every number. */
const wantedInChinese = Object.keys(english).filter((key) => !key.endsWith('.one'))
const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()

describe('Chinese', () => {
  it('has every text of English and no other', () => {
    expect(Object.keys(chinese).sort()).toEqual([...wantedInChinese].sort())
  })
  it('has the same places for values', () => {
    for (const key of wantedInChinese) expect([key, places(chinese[key] ?? '')]).toEqual([key, places(english[key] ?? '')])
  })
})

function sources(folder: URL): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(svelte|ts)$/.test(entry.name))
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8'))
}

it('every text is used, and every text that is used is there', () => {
  const source = sources(new URL('../../src/', import.meta.url)).join('\n')
  const quoted = new Set([...source.matchAll(/['"`]([a-z]\w*(?:\.\w+)*)['"`]/gi)].map((match) => match[1]))
  const started = [...source.matchAll(/`([a-z]\w*(?:\.\w+)*\.)\$\{/gi)].map((match) => match[1] ?? '')
  const unused = Object.keys(english).filter((key) => {
    const base = key.replace(/\.(one|other)$/, '')
    return !quoted.has(base) && !started.some((start) => key.startsWith(start))
  })
  expect(unused).toEqual([])
  const used = [...source.matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1] ?? '')
  expect(used.filter((key) => !(key in english) && !(`${key}.other` in english))).toEqual([])
})

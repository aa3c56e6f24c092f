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

type Schema = { enum?: string[]; oneOf?: { properties?: { code?: { enum?: string[] }; event?: { enum?: string[] } }; allOf?: Schema['oneOf'] }[]; anyOf?: Schema[] }
const document = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')) as { components: { schemas: Record<string, Schema> } }
const schema = (name: string): Schema => document.components.schemas[name] ?? {}

/** What the server says by a code, and the beginning of the texts for it. */
const CODES: [string, string[], string[]][] = [
  ['why.', (schema('Why').oneOf ?? []).flatMap((one) => one.properties?.code?.enum ?? []), ['rule']],
  ['doctor.seen.', (schema('Seen').oneOf ?? []).flatMap((one) => one.properties?.code?.enum ?? []), ['locked', 'unlocked', 'limits']],
  ['doctor.locked.', schema('Lock').enum ?? [], []],
  ['doctor.unlocked.', schema('Lock').enum ?? [], []],
  ['doctor.limits.memory.', schema('HeldBy').enum ?? [], []],
  ['doctor.limits.processes.', schema('HeldBy').enum ?? [], []],
  ['doctor.limits.processor.', schema('HeldBy').enum ?? [], []],
  ['doctor.groups.', schema('NoGroups').enum ?? [], ['there', 'other']],
  ['problem.because.', (schema('Because').oneOf ?? []).flatMap((one) => one.properties?.code?.enum ?? []), []],
  ['problem.kind.', (schema('ProblemType').enum ?? []).map((type) => type.split('#')[1] ?? ''), []],
  ['why.rule.', schema('ShippedRule').enum ?? [], []],
  ['network.rule.', (schema('NetworkRule').anyOf ?? []).flatMap((one) => one.enum ?? []), []],
  ['computer.limit.', (schema('ComputerLimit').oneOf ?? []).flatMap((one) => one.properties?.code?.enum ?? []), ['other']],
  ['mark.limit.', schema('LimitKind').enum ?? [], []],
  ['event.', (schema('Event').oneOf ?? []).flatMap((one) => [one, ...(one.allOf ?? [])].flatMap((part) => part.properties?.event?.enum ?? [])), []],
  ['record.outcome.', schema('Outcome').enum ?? [], []],
  ['mark.modelFailed.', schema('FailureKind').enum ?? [], []]
]

describe('what the server says by a code', () => {
  it.each(CODES)('%s has a text for each, and none for what is no code', (start, codes, said) => {
    expect(codes.length).toBeGreaterThan(2)
    const wanted = codes.filter((code) => !said.includes(code)).map((code) => start + code)
    expect(wanted.filter((key) => !(key in english) || !(key in chinese))).toEqual([])
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

// The limits of its computer that a command, or the browser, met, in the person's language; in the server's own words where this page does not
// know one of them, or an earlier journal has nothing else.

import type { ComputerLimit, ToolFact } from '../api/events'
import { t, type Key } from '../i18n/index.svelte'
import { room } from '../view/words'

/** Each as a sentence. */
export function limitsMet(facts: ToolFact[]): string[] {
  return facts.flatMap((fact) => (fact.fact === 'command' || fact.fact === 'browser_limits' ? sentences(fact) : []))
}

function sentences({ limit, limits = [] }: { limit?: string | null; limits?: ComputerLimit[] }): string[] {
  const told = limits.map(sentence)
  const known = told.filter((text) => text !== null)
  if (known.length > 0 && known.length === told.length) return known
  return limit ? [limit] : []
}

/** Null where the page does not know it. */
function sentence(limit: ComputerLimit): string | null {
  if (limit.code === 'other') return limit.words
  const key: Key = `computer.limit.${limit.code}`
  const text = t(key, values(limit))
  if (text === key) return null
  return 'times' in limit && limit.times > 1 ? t('computer.limit.times', { text, times: limit.times }) : text
}

function values(limit: ComputerLimit): Record<string, string | number> {
  switch (limit.code) {
    case 'memory':
    case 'browser_memory':
    case 'file_size':
    case 'output':
    case 'outputs':
      return { max: room(limit.max_bytes) }
    case 'processes':
    case 'open_files':
    case 'browser_processes':
    case 'browser_open_files':
      return { max: limit.max }
    case 'processor':
      return { max: limit.percent / 100 }
    case 'workspace':
    case 'browser_room':
      return { used: room(limit.bytes), files: limit.files, max: room(limit.max_bytes), maxFiles: limit.max_files }
    case 'scratch_bytes':
    case 'browser_scratch_bytes':
      return { place: limit.place, max: room(limit.max_bytes) }
    case 'scratch_files':
    case 'browser_scratch_files':
      return { place: limit.place, max: limit.max }
    case 'disk':
    case 'time':
    case 'other':
      return {}
  }
}

// The conversation as rows: steps that follow one another become one list, words and marks stand by themselves. It only
// arranges what the reducer made.

import { hasLine } from './reduce'
import type { Approval, Delivery, Entry, Mark, Phase, Question, Said, Step } from './view'

export type Row =
  | { key: number; kind: 'steps'; steps: Step[] }
  | { key: number; kind: 'entry'; entry: Said | Phase | Question | Approval | Delivery | Mark }

export function rowsOf(entries: readonly Entry[]): Row[] {
  const rows: Row[] = []
  let steps: Step[] | null = null
  let said = ''
  for (const entry of entries) {
    if (entry.kind === 'step') {
      if (!hasLine(entry)) continue
      if (steps) steps.push(entry)
      else {
        steps = [entry]
        rows.push({ key: entry.seq, kind: 'steps', steps })
      }
      continue
    }
    if (entry.kind === 'said' && entry.by === 'agent') {
      // A model often says the same beside a call and in it.
      if (!entry.reasoning && (!entry.text || entry.text === said)) continue
      said = entry.text
    }
    // One entry may bring several rows of the same event (a plan and a message): the place keeps them apart.
    steps = null
    rows.push({ key: entry.seq + rows.length / 1e6, kind: 'entry', entry })
  }
  return rows
}

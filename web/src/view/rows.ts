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
  let [seq, nth] = [0, 0]
  for (const entry of entries) {
    // One event may bring several entries (a plan and a message): the place among those keeps their rows apart, whatever row
    // stands before them.
    nth = entry.seq === seq ? nth + 1 : 0
    seq = entry.seq
    const key = seq + nth / 1e6
    if (entry.kind === 'step') {
      if (!hasLine(entry)) continue
      if (steps) steps.push(entry)
      else {
        steps = [entry]
        rows.push({ key, kind: 'steps', steps })
      }
      continue
    }
    if (entry.kind === 'said' && entry.by === 'agent') {
      // A model often says the same beside a call and in it.
      if (!entry.reasoning && (!entry.text || entry.text === said)) continue
      said = entry.text
    }
    steps = null
    rows.push({ key, kind: 'entry', entry })
  }
  return rows
}

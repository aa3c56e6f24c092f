// Terminals that last, as the record tells of them, and who has one in their hands.

import { expect, it } from 'vitest'
import { standing } from '../../src/view/view'
import { terminalOfStep, terminalsOf } from '../../src/view/terminals'
import type { Event } from '../../src/api/events'
import { call, created, result, started, viewOf } from './journal'

const main = { part: 'terminal', name: 'main' } as const
const typed = (effect: number, terminal?: string): Event => call(effect, 'shell_exec', { command: 'ls', ...(terminal ? { terminal } : {}) })

it('knows the terminals that were typed into, and where a step worked', () => {
  const view = viewOf(created, typed(1), result(1, ''), typed(2, 'main'), result(2, ''), typed(3, 'other'), result(3, ''), typed(4, 'main'), result(4, ''), call(5, 'shell_view', { id: 'other' }))
  expect(terminalsOf(view)).toEqual(['main', 'other'])
  const steps = view.entries.filter((entry) => entry.kind === 'step')
  expect(steps.map((step) => terminalOfStep(view, step))).toEqual([null, 'main', 'other', 'main', 'other'])
})

it('waits for the person while they have a terminal, and shows the note', () => {
  const begun = [created, typed(1, 'main'), started(1), result(1, '')]
  const taken = viewOf(...begun, { event: 'taken_over', what: main })
  expect([taken.takenOver, standing(taken)]).toEqual([main, 'waiting'])
  const back = viewOf(...begun, { event: 'taken_over', what: main }, { event: 'handed_back', what: main, note: 'all set' })
  expect([back.takenOver, standing(back)]).toEqual([null, 'running'])
  expect(back.entries.at(-1)).toMatchObject({ kind: 'mark', what: { mark: 'handed_back', note: 'all set' } })
})

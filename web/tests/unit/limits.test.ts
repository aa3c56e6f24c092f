// What a person reads of the limits that a command met.

import { expect, it } from 'vitest'
import type { ComputerLimit, ToolFact } from '../../src/api/events'
import { limitsMet } from '../../src/parts/limits'
import { terminalOf } from '../../src/view/terminal'
import { room } from '../../src/view/words'
import { call, created, result, viewOf } from './journal'

type Command = Extract<ToolFact, { fact: 'command' }>

const met = (limits: ComputerLimit[], limit: string | null = 'in words'): Command => ({ fact: 'command', exit_code: 0, output_bytes: 0, running: false, limit, limits })

it('each limit is a sentence with its size, and how often if it was more than once', () => {
  const said = limitsMet([
    met([
      { code: 'scratch_bytes', place: '/tmp', max_bytes: 2 ** 30, times: 1 },
      { code: 'open_files', max: 4096, times: 3 },
      { code: 'processor', percent: 150 },
      { code: 'workspace', bytes: 50_000_000, files: 1, max_bytes: 8 * 2 ** 20, max_files: 10 }
    ])
  ])
  expect(said).toEqual([
    '/tmp was full: it holds 1 GiB. Files there can be removed, or the workspace used.',
    'A program ran out of open files: 4096 for each program. (3 times)',
    'The programs may use as much as 1.5 processors give, and wanted more: they took longer.',
    'The workspace is full: it holds 47.6 MiB in 1 files and may hold 8 MiB in 10. Files must be removed before more is written.'
  ])
})

it('what this page does not know, and what an earlier journal holds, is told in the words of the server', () => {
  expect(limitsMet([met([{ code: 'newer' } as unknown as ComputerLimit, { code: 'disk' }])])).toEqual(['in words'])
  expect(limitsMet([met([{ code: 'other', words: 'the computer did not take the order' }])])).toEqual(['the computer did not take the order'])
  expect(limitsMet([{ fact: 'command', exit_code: 0, output_bytes: 0, running: false, limit: 'in words' }])).toEqual(['in words'])
  expect([limitsMet([met([], null)]), limitsMet([])]).toEqual([[], []])
})

it('what the browser met is told as what a command met', () => {
  const facts: ToolFact[] = [{ fact: 'browser_limits', limit: 'in words', limits: [{ code: 'browser_memory', max_bytes: 2 ** 31 }, { code: 'browser_scratch_bytes', place: '/tmp', max_bytes: 2 ** 26, times: 2 }, { code: 'browser_room', bytes: 9 * 2 ** 30, files: 7, max_bytes: 2 ** 33, max_files: 200_000 }] }]
  expect(limitsMet(facts)).toEqual([
    "The browser's memory was used up: it and all its pages together may hold 2 GiB. A page was ended. Fewer tabs or a smaller page help.",
    "The browser's own /tmp was full: it holds 64 MiB. Fewer tabs or a restart of the browser help. (2 times)",
    'Pages had the browser keep 9 GiB in 7 files on the disk; it may keep 8 GiB in 200000. It was ended, and what it kept was removed: sign-ins, downloads not yet brought in.'
  ])
})

it('the terminal shows the limit of a command that went well', () => {
  const steps = (facts: ToolFact[]) => terminalOf(viewOf(created, call(1, 'shell_exec', { command: 'x' }), result(1, 'exit code 0 (limit reached: all)\nout', facts)), null)[0]?.text
  expect(steps([met([{ code: 'disk' }])])).toContain('(limit reached: all)')
  expect(steps([met([], null)])).not.toContain('limit reached')
})

it('room is told as limits are given', () => {
  expect([0, 1000, 1024, 4 * 2 ** 20, 1.5 * 2 ** 30].map(room)).toEqual(['0 B', '1000 B', '1 KiB', '4 MiB', '1.5 GiB'])
})

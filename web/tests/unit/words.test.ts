// Numbers as people read them, tables out of text, and what a terminal may be sent.

import { expect, it } from 'vitest'
import { parseCsv } from '../../src/preview/tables'
import { terminalOf } from '../../src/view/terminal'
import { subjectOf } from '../../src/view/tools'
import { treeOf } from '../../src/view/tree'
import { ago, bytes, clock, dollars, span } from '../../src/view/words'
import { call, created, result, viewOf } from './journal'

it('spans, sizes, money', () => {
  expect([40, 480, 2_480, 9_960, 59_600, 61_000, 3_661_000, 200_000_000].map(span)).toEqual(['0.1 s', '0.5 s', '2.5 s', '10 s', '1 min 00 s', '1 min 01 s', '1 h 01 min', '2 d 7 h'])
  expect([0, 61_000, 3_661_000].map(clock)).toEqual(['0:00', '1:01', '1:01:01'])
  expect([999, 1_000, 209_000, 999_600, 5_200_000].map(bytes)).toEqual(['999 B', '1.0 kB', '209 kB', '1.0 MB', '5.2 MB'])
  expect([0, 0.00031, 0.12, 2.5].map(dollars)).toEqual(['$0', '$0.0003', '$0.12', '$2.50'])
  expect([5, 59, 65, 7_300].map((s) => ago(1e12 - s * 1000, 1e12, 'en'))).toEqual(['now', 'now', '1 min. ago', '2 hr. ago'])
})

it('comma-separated values with quotes, line ends and blanks', () => {
  const sheet = parseCsv('\uFEFFa,b\r\n"x, y","say ""so"""\n\n"two\nlines",3\nlast', ',')
  expect(sheet.rows).toEqual([['a', 'b'], ['x, y', 'say "so"'], ['two\nlines', '3'], ['last']])
  expect([sheet.rowCount, sheet.columnCount]).toEqual([4, 2])
})

it('of what a program printed, colours reach the terminal and nothing else that acts', () => {
  const nasty = 'exit code 0\n\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J gone\nend'
  const command = { fact: 'command', exit_code: 0, output_bytes: 9, running: false } as const
  const text = terminalOf(viewOf(created, call(1, 'shell_exec', { command: 'printf "\x1b[2J"' }), result(1, nasty, [command])), null)[0]?.text ?? ''
  expect(text).toContain('\x1b[31mred')
  expect(text).not.toContain('\x1b]')
  expect(text).not.toContain('\x1b[2J')
  expect(text).toContain('end')
})

it('a call is about one thing', () => {
  expect(subjectOf('shell_exec', { command: 'ls -l\nrm x' })).toBe('ls -l')
  expect(subjectOf('deliver', { files: [{ path: 'a.pdf' }, { path: 'b.csv' }] })).toBe('a.pdf, b.csv')
  expect(subjectOf('some_new_tool', { url: 'http://x.example/' })).toBe('http://x.example/')
  expect(subjectOf('idle', {})).toBe('')
})

it('files are a tree with folders first', () => {
  expect(treeOf(['b.txt', 'sub/deep/c.txt', 'a.txt', 'sub/b.txt'])).toEqual([
    {
      kind: 'folder',
      name: 'sub',
      path: 'sub',
      inside: [
        { kind: 'folder', name: 'deep', path: 'sub/deep', inside: [{ kind: 'file', name: 'c.txt', path: 'sub/deep/c.txt' }] },
        { kind: 'file', name: 'b.txt', path: 'sub/b.txt' }
      ]
    },
    { kind: 'file', name: 'a.txt', path: 'a.txt' },
    { kind: 'file', name: 'b.txt', path: 'b.txt' }
  ])
})

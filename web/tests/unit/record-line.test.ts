// What the record says of an event, in one line.

import { expect, it } from 'vitest'
import type { Event } from '../../src/api/events'
import { lineOf } from '../../src/parts/record-line'
import { recorded } from './journal'

it('a recorded journal is told in words; only what has none is told as it is', () => {
  const untold = new Set<string>()
  for (const { event } of recorded('demo')) {
    const line = lineOf(event)
    expect(line).not.toContain('undefined')
    if (line.startsWith('{')) untold.add(event.event)
  }
  expect([...untold].filter((kind) => !['resumed', 'forked', 'options_changed', 'time_reached', 'stop_requested', 'restore_begun', 'autorun_changed', 'grant_ended'].includes(kind))).toEqual([])
})

it('what a person did, and what passed, is said as elsewhere in the app', () => {
  const part = { part: 'terminal', name: 'main' } as const
  const closed = { number: 3, address: '192.0.2.1', tls_name: null, bytes_up: 120, bytes_down: 2_400, ms: 5, refused: null }
  const lines = [
    { event: 'taken_over', what: part, page: null },
    { event: 'handed_back', what: { part: 'browser' }, note: 'logged in', page: null },
    { event: 'hosts_changed', allow_net: [] },
    { event: 'limit_reached', limit: 'cost', used: 2_000_000, max: 2_500_000 },
    { event: 'connection_closed', closed }
  ].map((event) => lineOf(event as unknown as Event))
  expect(lines).toEqual(['You took over the terminal main', 'You handed back the browser: logged in', 'You took away all hosts', 'The limit of $2.50 is reached', '3 192.0.2.1 ↑ 120 B ↓ 2.4 kB'])
})

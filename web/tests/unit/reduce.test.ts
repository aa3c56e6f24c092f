// The reducer over recorded journals and over small ones: what a person sees of each.

import { describe, expect, it } from 'vitest'
import type { Event, Recorded } from '../../src/api/events'
import { rowsOf } from '../../src/view/rows'
import { standing, type Entry } from '../../src/view/view'
import { call, created, journal, message, recorded, result, says, started, timeline, viewOf } from './journal'

const kinds = (entries: Entry[]) => entries.map((entry) => entry.kind)

describe('a recorded task', () => {
  const line = timeline(recorded('demo'))
  const view = line.head()

  it('ends done, with everything that was handed over', () => {
    expect(standing(view)).toBe('done')
    expect(view.scripted).toBe(true)
    expect(view.deliverables.map((file) => file.name)).toEqual(['report.html', 'report.pdf', 'report.xlsx', 'report.json'])
    expect(view.acceptance.every((item) => item.status === 'passed')).toBe(true)
    expect(view.plan.map((step) => step.status)).toEqual(Array<string>(7).fill('done'))
    expect(view.steps).toBe(22)
    expect(view.thinking).toBeNull()
    expect(view.open.size).toBe(0)
  })

  it('shows every step once, each with its end', () => {
    const steps = view.entries.filter((entry) => entry.kind === 'step')
    expect(new Set(steps.map((step) => step.effect)).size).toBe(steps.length)
    expect(steps.filter((step) => step.endMs === null || step.status !== 'ok')).toEqual([])
    expect(steps.length).toBe(32)
  })

  it('says that it was taken up again, in its place', () => {
    const marks = view.entries.filter((entry) => entry.kind === 'mark').map((entry) => entry.what.mark)
    expect(marks).toEqual(['resumed', 'ended'])
  })

  it('ticks the plan as the work goes on', () => {
    const phases = view.entries.filter((entry) => entry.kind === 'phase').map((entry) => entry.number)
    expect(phases).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('knows what the agent wrote itself', () => {
    expect(view.files.get('clean.py')?.after).toContain('import pandas')
    expect(view.files.get('clean.py')?.before).toBeNull()
  })
})

it('a question waits until the person answers', () => {
  const asked = [created, call(1, 'message_ask_user'), started(1), result(1, '', [{ fact: 'question', text: 'Which year?' }])]
  const open = viewOf(...asked)
  expect([standing(open), open.question]).toEqual(['waiting', 2])
  const answered = viewOf(...asked, message('2024'))
  expect([standing(answered), answered.question]).toEqual(['running', null])
  expect(answered.entries[2]).toMatchObject({ kind: 'question', open: false })
})

it('an approval shows the effect itself, and closes with the answer', () => {
  const digest = 'd'.repeat(64)
  const asked: Event[] = [
    created,
    call(1, 'deliver', { files: [{ path: 'a.pdf' }] }),
    { event: 'effect_decided', id: 1, decision: { outcome: 'ask', tier: 'user_authorised', rules: ['r'], reason: 'a point failed', effect_digest: digest } },
    { event: 'approval_requested', id: 1, effect_digest: digest, question: 'deliver' }
  ]
  const open = viewOf(...asked)
  expect(standing(open)).toBe('waiting')
  expect(open.entries.at(-1)).toMatchObject({ kind: 'approval', tool: 'deliver', arguments: { files: [{ path: 'a.pdf' }] }, decision: { reason: 'a point failed' } })
  const done = viewOf(...asked, { event: 'approval_answered', id: 1, effect_digest: digest, allowed: false, by: 'person', note: 'no' })
  expect(standing(done)).toBe('running')
  expect(done.entries.at(-1)).toMatchObject({ answer: { allowed: false, note: 'no' } })
})

it('an end leaves nothing under way, and a resume takes up what goes on', () => {
  const ended: Event[] = [created, call(1, 'shell_exec', { command: 'sleep 9' }), started(1), { event: 'task_ended', state: 'stopped', cause: 'person', reason: 'you stopped it', text: '' }]
  expect(viewOf(...ended).entries[1]).toMatchObject({ kind: 'step', status: 'interrupted' })
  const resumed = viewOf(...ended, { event: 'resumed', engine: '', boot: '', previous_lived_ms: null }, result(1, 'exit code 0\nx'))
  expect([standing(resumed), resumed.open.size]).toEqual(['running', 0])
  expect(resumed.entries[1]).toMatchObject({ kind: 'step', status: 'ok' })
})

it('says that it was taken up again only where something had come to an end or broken off', () => {
  const resumed: Event = { event: 'resumed', engine: '', boot: '', previous_lived_ms: null }
  const told = (...events: Event[]) => viewOf(created, ...events, resumed).entries.some((entry) => entry.kind === 'mark' && entry.what.mark === 'resumed')
  const working = [call(1, 'shell_exec', { command: 'sleep 9' }), started(1)]
  const asking = [call(1, 'message_ask_user'), started(1), result(1, '', [{ fact: 'question', text: 'Which year?' }])]
  expect(told(...working)).toBe(true)
  expect(told(...working, { event: 'put_down', reason: 'the server stops' })).toBe(true)
  expect(told(...working, { event: 'task_ended', state: 'stopped', cause: 'person', reason: 'you stopped it', text: '' })).toBe(true)
  // Somebody came to a task that waited for them: nothing was broken off.
  expect(told(...asking)).toBe(false)
  expect(told(...asking, message('2024'))).toBe(false)
})

it('money that is not known is not counted as nothing', () => {
  const view = viewOf(created, says(1, 'a', 1500), says(2, 'b', null))
  expect([view.spent, view.unpriced, view.steps]).toEqual([1500, 1, 2])
})

it('an event of a newer server is passed over', () => {
  const newer = [...journal(created), { seq: 2, time_ms: 1, event: { event: 'from_the_future', id: 7 } } as unknown as Recorded]
  expect(kinds(timeline(newer).head().entries)).toEqual(['said'])
})

it('edits are followed from version to version', () => {
  const view = viewOf(
    created,
    call(1, 'file_write', { path: '/workspace/a.txt', content: 'one\n' }),
    result(1),
    call(2, 'file_write', { path: 'a.txt', content: 'two\n', append: true }),
    result(2),
    call(3, 'file_str_replace', { path: './a.txt', old: 'one', new: '1' }),
    result(3),
    call(4, 'file_write', { path: 'a.txt', content: 'never' }),
    result(4, 'no room', [], 'failed')
  )
  expect(view.files.get('a.txt')).toMatchObject({ before: 'one\ntwo\n', after: '1\ntwo\n', effect: 3 })
})

it('steps that follow one another are one list, and no words are said twice', () => {
  const rows = rowsOf(
    viewOf(
      created,
      call(1, 'shell_exec'),
      result(1),
      call(2, 'plan_update'),
      result(2, '', [{ fact: 'plan', plan: { steps: [{ text: 'a', status: 'in_progress' }] } }]),
      says(3, 'Hello'),
      call(4, 'message_notify_user'),
      result(4, '', [{ fact: 'notice', text: 'Hello' }]),
      call(5, 'shell_exec'),
      call(6, 'file_read'),
      result(6, 'gone', [], 'failed')
    ).entries
  )
  expect(rows.map((row) => (row.kind === 'steps' ? row.steps.map((step) => step.effect) : row.entry.kind))).toEqual(['said', [1], 'phase', 'said', [5, 6]])
  expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length)
})

it('each connection has a line, and how it came out', () => {
  const connection = { number: 1, effect: 5, way: 'tls', host: 'example.org', port: 443 } as const
  const refused = { rule: 'net-undeclared', reason: 'nobody gave the task this host' }
  const view = viewOf(
    created,
    { event: 'effect_requested', effect: { effect: 'reach', id: 5, host: 'example.org', port: 443 } },
    { event: 'connection_opened', connection },
    { event: 'connection_refused', connection: { ...connection, number: 2, host: '10.0.0.1' }, refused },
    { event: 'connection_closed', closed: { number: 1, address: '192.0.2.1', bytes_up: 10, bytes_down: 2000, ms: 30 } },
    { event: 'connections_counted', counted: { host: 'example.org', port: 443, opened: 7, refused: 2, bytes_up: 1, bytes_down: 2 } }
  )
  expect(view.contacts.map(({ host, state, count, refusals, up, down, reason }) => [host, state, count, refusals, up, down, reason])).toEqual([
    ['example.org', 'closed', 1, 0, 10, 2000, ''],
    ['10.0.0.1', 'refused', 1, 1, 0, 0, refused.reason],
    ['example.org', 'counted', 9, 2, 1, 2, '']
  ])
  expect(view.connections.size).toBe(0)
})

it('what passed on a connection that was cut with its server is unknown, also in an older record', () => {
  const refused = { rule: 'egress.engine_gone', reason: 'the engine that carried it ended' }
  const open = (number: number): Event => ({ event: 'connection_opened', connection: { number, effect: 1, way: 'tls', host: 'example.org', port: 443 } })
  const view = viewOf(created, open(1), { event: 'connection_closed', closed: { number: 1, refused } }, open(2), { event: 'connection_closed', closed: { number: 2, bytes_up: 0, bytes_down: 0, ms: 0, refused } })
  expect(view.contacts.map(({ state, up, down, ms }) => [state, up, down, ms])).toEqual([['cut', null, null, null], ['cut', null, null, null]])
})

it('what passed at the most on connections that were cut with their server is a line of its own, and says so', () => {
  const counted = { host: 'example.org', port: 443, opened: 0, refused: 0, bytes_up: 4096, bytes_down: 0 }
  const view = viewOf(created, { event: 'connections_counted', counted: { ...counted, at_most: true } }, { event: 'connections_counted', counted })
  expect(view.contacts.map(({ state, up, atMost }) => [state, up, atMost])).toEqual([['counted', 4096, true], ['counted', 4096, false]])
})

it('a host that is asked for says which', () => {
  const digest = 'd'.repeat(64)
  const view = viewOf(
    created,
    { event: 'effect_requested', effect: { effect: 'reach', id: 5, host: 'example.org', port: 443 } },
    { event: 'approval_requested', id: 5, effect_digest: digest, question: 'example.org:443' }
  )
  expect(view.entries.at(-1)).toMatchObject({ kind: 'approval', tool: 'reach', arguments: { host: 'example.org', port: 443 } })
})

const DIGEST = 'd'.repeat(64)
const reach = (id: number, host: string): Event => ({ event: 'effect_requested', effect: { effect: 'reach', id, host, port: 80 } })
const asks = (id: number): Event[] => [
  { event: 'effect_decided', id, decision: { outcome: 'ask', tier: 'user_authorised', rules: ['other-host-asks'], reason: 'nobody named this host', effect_digest: DIGEST } },
  { event: 'approval_requested', id, effect_digest: DIGEST, question: 'connect' }
]
const answers = (id: number, allowed: boolean): Event => ({ event: 'approval_answered', id, effect_digest: DIGEST, allowed, by: 'person', note: '' })

it('of several hosts that are asked about, the first waits until all have an answer', () => {
  const events = [created, reach(5, 'one.test'), ...asks(5), reach(6, 'two.test'), ...asks(6)]
  const waitsFor = (view: ReturnType<typeof viewOf>) => {
    const entry = view.approval === null ? undefined : view.entries[view.approval]
    return entry?.kind === 'approval' ? entry.arguments['host'] : null
  }
  expect(waitsFor(viewOf(...events))).toBe('one.test')
  expect(waitsFor(viewOf(...events, answers(5, true)))).toBe('two.test')
  const over = viewOf(...events, answers(5, true), answers(6, false))
  expect([waitsFor(over), standing(over)]).toEqual([null, 'running'])
})

it('a connection says by whose word it passes', () => {
  const connection = (number: number, effect: number, host: string) => ({ number, effect, way: 'http' as const, host, port: 80 })
  const told = (...events: Event[]) => viewOf(created, ...events).contacts.map(({ host, state, by, rule }) => [host, state, by, rule])
  const asked = [reach(5, 'one.test'), ...asks(5)]
  expect(told(...asked)).toEqual([['one.test', 'asked', null, 'other-host-asks']])
  const turnedAway: Event = { event: 'connection_refused', connection: connection(9, 5, 'one.test'), refused: { rule: 'egress.asking', reason: 'the person is asked' } }
  expect(viewOf(created, ...asked, turnedAway, turnedAway).contacts.map(({ state, count, way }) => [state, count, way])).toEqual([['asked', 2, 'http']])
  const yes = [...asked, answers(5, true)]
  expect(told(...yes)).toEqual([['one.test', 'allowed', 'person', '']])
  const opened: Event[] = [...yes, { event: 'connection_opened', connection: connection(1, 5, 'one.test') }]
  expect(told(...opened)).toEqual([['one.test', 'open', 'person', '']])
  const lost: Event = { event: 'connection_closed', closed: { number: 1, bytes_up: 0, bytes_down: 0, ms: 1, refused: { rule: 'egress.unresolved', reason: 'look one.test up' } } }
  expect(told(...opened, lost, { event: 'connection_opened', connection: connection(2, 5, 'one.test') })).toEqual([
    ['one.test', 'failed', 'rule', 'egress.unresolved'],
    ['one.test', 'open', 'person', '']
  ])
  const no: Event[] = [...asked, answers(5, false), { event: 'connection_refused', connection: connection(1, 5, 'one.test'), refused: { rule: 'answer', reason: 'the person said no' } }]
  expect(told(...no)).toEqual([['one.test', 'refused', 'person', '']])
  const named: Event = { event: 'effect_decided', id: 6, decision: { outcome: 'allow', tier: 'autonomous', rules: ['declared-host'], reason: 'named', effect_digest: DIGEST } }
  expect(told(reach(6, 'two.test'), named, { event: 'connection_opened', connection: connection(1, 6, 'two.test') })).toEqual([['two.test', 'open', 'rule', 'declared-host']])
})

it('the page of every step is known at its moment, and in an older record those that were asked for', () => {
  const picture = (letter: string) => ({ digest: letter.repeat(64), bytes: 1 })
  const view = viewOf(
    created,
    call(1, 'browser_navigate'),
    result(1, 'told', [{ fact: 'page', page: { title: 'One', address: 'http://one/', picture: picture('a') } }]),
    call(2, 'browser_click'),
    result(2, 'told', [{ fact: 'page', page: { title: 'Two', address: 'http://two/' } }]),
    call(3, 'browser_view'),
    result(3, 'told', [{ fact: 'picture', picture: picture('b') }])
  )
  expect(view.pages.map(({ title, picture }) => [title, picture?.[0] ?? null])).toEqual([['One', 'a'], ['Two', null], ['', 'b']])
})

it('what the other task was in the midst of is not the copy\'s', () => {
  const past: Event[] = [
    created,
    { event: 'taken_over', what: { part: 'browser' } },
    { event: 'stop_requested', by: 'person' },
    { event: 'task_ended', state: 'stopped', cause: 'person', reason: 'you stopped it', text: '' },
    message('Go on'),
    { event: 'resumed', engine: '', boot: '', previous_lived_ms: null }
  ]
  const forked: Event = { event: 'forked', options: { max_steps: null, max_cost: null, max_time_ms: null, out: null, workspace: null, yes: false } }
  const of = ({ takenOver, stopping, unread }: ReturnType<typeof viewOf>) => [takenOver, stopping, unread]
  for (let many = 1; many <= past.length; many++) expect(of(viewOf(...past.slice(0, many), forked)), `after ${many} events`).toEqual([null, false, false])
})

it('a row is the same one when one before it goes', () => {
  const asked = [created, call(1, 'deliver', { files: [{ path: 'a.pdf' }] }), started(1), reach(5, 'one.test'), ...asks(5)]
  const shown = (...events: Event[]) => rowsOf(viewOf(...events).entries).map((row) => [row.kind === 'entry' ? row.entry.kind : 'steps', row.key])
  const before = shown(...asked)
  const after = shown(...asked, result(1, '', [{ fact: 'delivered', files: [] }]))
  expect(before.map(([kind]) => kind)).toEqual(['said', 'steps', 'approval'])
  expect(after.map(([kind]) => kind)).toEqual(['said', 'approval', 'delivery'])
  expect(after[1]).toEqual(before[2])
})

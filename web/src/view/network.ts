// The network of a moment: each place that the computer's programs asked for, who said what to that, and how much went each way.
// What was said on a connection is on no record.

import type { Decision, EffectId, Event } from '../api/events'
import type { Asked, Contact, TaskView } from './view'

type NetworkEvent = Extract<Event, { event: 'connection_opened' | 'connection_closed' | 'connection_refused' | 'connections_counted' | 'grant_ended' }>
type Part = Partial<Contact> & Pick<Contact, 'host' | 'port' | 'state'>

function add(view: TaskView, seq: number, atMs: number, part: Part): number {
  const line = { key: String(seq), seq, atMs, way: null, count: 1, refusals: 0, by: null, rule: '', address: '', up: 0, down: 0, atMost: false, ms: null, reason: '', why: [], ...part }
  return view.contacts.push(line) - 1
}

/** Policy has spoken about a host, if this is one. */
export function decided(view: TaskView, id: EffectId, decision: Decision): void {
  const asked = view.hosts.get(id)
  if (asked) view.hosts.set(id, { ...asked, decision })
}

/** The person is asked about a host: it has a line from then on, and a connection takes its place. */
export function wanted(view: TaskView, seq: number, atMs: number, id: EffectId): void {
  const asked = view.hosts.get(id)
  if (!asked) return
  const line = add(view, seq, atMs, { host: asked.host, port: asked.port, state: 'asked', ...saidBy(asked.decision) })
  view.hosts.set(id, { ...asked, line })
}

/** The person has said yes or no to a host. */
export function saidOf(view: TaskView, id: EffectId, allowed: boolean): void {
  const asked = view.hosts.get(id)
  if (!asked) return
  view.hosts.set(id, { ...asked, allowed })
  const line = asked.line === null ? undefined : view.contacts[asked.line]
  if (asked.line !== null && line) view.contacts[asked.line] = { ...line, state: allowed ? 'allowed' : 'refused', refusals: allowed ? 0 : 1, ...BY_PERSON }
}

/** What passed on a connection and how long it was open; nothing where nobody knows, since it was cut with the server that carried
 *  it. Older records have a nought there. */
export function passed({ bytes_up, bytes_down, ms, refused }: Extract<Event, { event: 'connection_closed' }>['closed']): Pick<Contact, 'up' | 'down' | 'ms'> {
  if (refused?.rule === 'egress.engine_gone') return { up: null, down: null, ms: null }
  return { up: bytes_up ?? null, down: bytes_down ?? null, ms: ms ?? null }
}

/** Rules that say of an end that the other side could not be had. */
const UNREACHED: ReadonlySet<string> = new Set(['egress.unresolved', 'egress.unreachable'])

/** The rule that turns a program away until the person has said something. */
const ASKING = 'egress.asking'

const BY_PERSON: Spoken = { by: 'person', rule: '', reason: '', why: [] }

type Spoken = Pick<Contact, 'by' | 'rule' | 'reason' | 'why'>

/** What policy said. */
function saidBy(decision: Decision | null | undefined): Pick<Contact, 'rule' | 'reason' | 'why'> {
  return { rule: decision?.rules[0] ?? '', reason: decision?.reason ?? '', why: decision?.why ?? [] }
}

/** By whose word a connection passes. */
function leave(asked: Asked | undefined): Spoken {
  if (asked?.allowed) return BY_PERSON
  return { by: 'rule', ...saidBy(asked?.decision) }
}

/** The line of a connection: that of the question about its host, if the person has answered it and nothing came of it yet. */
function place(view: TaskView, seq: number, atMs: number, id: EffectId | null | undefined, part: Part): number {
  const asked = id ? view.hosts.get(id) : undefined
  const line = asked && asked.line !== null ? view.contacts[asked.line] : undefined
  if (!id || !asked || asked.line === null || !line || line.state === 'asked') return add(view, seq, atMs, part)
  view.hosts.set(id, { ...asked, line: null })
  view.contacts[asked.line] = { ...line, ...part }
  return asked.line
}

/** The request that made the person be asked, or another one meanwhile: the line of the question stands for it. */
function asksAgain(view: TaskView, id: EffectId | null | undefined, way: Contact['way']): boolean {
  const at = id ? view.hosts.get(id)?.line : undefined
  const line = typeof at === 'number' ? view.contacts[at] : undefined
  if (typeof at !== 'number' || line?.state !== 'asked') return false
  view.contacts[at] = { ...line, way, count: line.way === null ? 1 : line.count + 1 }
  return true
}

export function contact(view: TaskView, seq: number, atMs: number, event: NetworkEvent): boolean {
  switch (event.event) {
    case 'connection_opened': {
      const { number, effect, host, port, way } = event.connection
      const asked = effect ? view.hosts.get(effect) : undefined
      view.connections.set(number, place(view, seq, atMs, effect, { host, port, way, state: 'open', ...leave(asked) }))
      return true
    }
    case 'connection_refused': {
      const { effect, host, port, way } = event.connection
      const { rule, reason } = event.refused
      if (rule === ASKING && asksAgain(view, effect, way)) return true
      const asked = effect ? view.hosts.get(effect) : undefined
      // A rule of policy's is what was decided on the place; the network's own rules speak for themselves.
      const why = asked?.decision?.rules.join(', ') === rule ? (asked.decision.why ?? []) : []
      const by: Spoken = asked?.allowed === false ? BY_PERSON : { by: 'rule', rule, reason, why }
      place(view, seq, atMs, effect, { host, port, way, state: 'refused', refusals: 1, ...by })
      return true
    }
    case 'connection_closed': {
      const { number, address, tls_name, refused } = event.closed
      const at = view.connections.get(number)
      const open = at === undefined ? undefined : view.contacts[at]
      if (at === undefined || !open) return false
      const told = [address, tls_name && tls_name !== open.host ? tls_name : ''].filter(Boolean).join(' ')
      const end: Partial<Contact> = refused ? { state: UNREACHED.has(refused.rule) ? 'failed' : 'cut', by: 'rule', rule: refused.rule, reason: refused.reason, why: [] } : { state: 'closed' }
      view.contacts[at] = { ...open, ...end, address: told, ...passed(event.closed) }
      view.connections.delete(number)
      return true
    }
    case 'connections_counted': {
      const { host, port, opened, refused, bytes_up, bytes_down, at_most = false } = event.counted
      add(view, seq, atMs, { host, port, state: 'counted', count: opened + refused, refusals: refused, up: bytes_up, down: bytes_down, atMost: at_most })
      return true
    }
    case 'grant_ended': {
      const asked = view.hosts.get(event.id)
      if (asked) add(view, seq, atMs, { host: asked.host, port: asked.port, state: 'refused', count: 0, by: 'rule', rule: event.refused.rule, reason: event.refused.reason })
      return asked !== undefined
    }
  }
}

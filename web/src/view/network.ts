// The network of a moment: each connection that the computer's programs asked for, whether it passed, and how much went each
// way. What was said in it is on no record.

import type { Event } from '../api/events'
import type { Contact, TaskView } from './view'

type NetworkEvent = Extract<Event, { event: 'connection_opened' | 'connection_closed' | 'connection_refused' | 'connections_counted' | 'grant_ended' }>

export function contact(view: TaskView, seq: number, atMs: number, event: NetworkEvent): boolean {
  const line = (part: Partial<Contact> & Pick<Contact, 'host' | 'port' | 'state'>): number =>
    view.contacts.push({ key: String(seq), seq, atMs, way: null, count: 1, refusals: 0, address: '', up: 0, down: 0, ms: null, reason: '', ...part }) - 1
  switch (event.event) {
    case 'connection_opened': {
      const { number, host, port, way } = event.connection
      view.connections.set(number, line({ host, port, way, state: 'open' }))
      return true
    }
    case 'connection_refused': {
      const { host, port, way } = event.connection
      line({ host, port, way, state: 'refused', refusals: 1, reason: event.refused.reason })
      return true
    }
    case 'connection_closed': {
      const { number, address, tls_name, bytes_up, bytes_down, ms, refused } = event.closed
      const at = view.connections.get(number)
      const open = at === undefined ? undefined : view.contacts[at]
      if (at === undefined || !open) return false
      const told = [address, tls_name && tls_name !== open.host ? tls_name : ''].filter(Boolean).join(' ')
      view.contacts[at] = { ...open, state: refused ? 'refused' : 'closed', refusals: refused ? 1 : 0, address: told, up: bytes_up, down: bytes_down, ms, reason: refused?.reason ?? '' }
      view.connections.delete(number)
      return true
    }
    case 'connections_counted': {
      const { host, port, opened, refused, bytes_up, bytes_down } = event.counted
      line({ host, port, state: 'counted', count: opened + refused, refusals: refused, up: bytes_up, down: bytes_down })
      return true
    }
    case 'grant_ended': {
      const host = view.hosts.get(event.id)
      if (host) line({ ...host, state: 'refused', count: 0, reason: event.refused.reason })
      return host !== undefined
    }
  }
}

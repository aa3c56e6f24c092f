// What an event says, in one line of the record and in the person's language; the whole of it is one click away.

import type { ComputerPart, Event, LimitKind } from '../api/events'
import { t } from '../i18n/index.svelte'
import { passed } from '../view/network'
import { bytes, dollars } from '../view/words'
import { networkRule, whyDecided } from './why'
import { lasting } from './lasting'

export function limitReached({ limit, used, max }: { limit: LimitKind; used: number; max: number }): string {
  const shown = (value: number) => (limit === 'cost' ? dollars(value / 1e6) : limit === 'time' ? lasting(value) : String(value))
  return t(`mark.limit.${limit}`, { used: shown(used), max: shown(max) })
}

const much = (size: number | null) => (size === null ? t('network.unknown') : bytes(size))
const ways = (up: number | null, down: number | null) => `↑ ${much(up)} ↓ ${much(down)}`
const ruled = ({ rule, reason }: { rule: string; reason: string }) => `${networkRule(rule) ?? reason} [${rule}]`
const inHand = (how: 'takenOver' | 'handedBack', what: ComputerPart) => (what.part === 'terminal' ? t(`mark.${how}.terminal`, { name: what.name }) : t(`mark.${how}.browser`))

export function lineOf(event: Event): string {
  switch (event.event) {
    case 'task_created':
      return event.brief
    case 'message_received':
      return event.text
    case 'effect_requested': {
      const { effect } = event
      if (effect.effect === 'reach') return `e${effect.id} ${effect.host}:${effect.port}`
      return effect.effect === 'model' ? `e${effect.id} ${effect.model}` : `e${effect.id} ${effect.tool} ${JSON.stringify(effect.arguments)}`
    }
    case 'effect_decided':
      return `e${event.id} ${t(`record.outcome.${event.decision.outcome}`)}${t('why.colon')}${whyDecided(event.decision)} [${event.decision.rules.join(', ')}]`
    case 'model_replied':
      return `e${event.id} ${event.reply.message.text ?? ''}`
    case 'model_attempt_failed':
      return `e${event.id} ${event.reason}`
    case 'model_failed':
      return `e${event.id} ${t(`mark.modelFailed.${event.kind}`)}${t('why.colon')}${event.reason}`
    case 'tool_finished': {
      const { status, text } = event.result
      return `e${event.id} ${status === 'ok' ? '' : t(`step.${status}`) + t('why.colon')}${text}`
    }
    case 'effect_started':
      return `e${event.id}`
    case 'approval_requested':
      return `e${event.id} ${event.question}`
    case 'approval_answered':
      return `e${event.id} ${t(event.allowed ? 'approval.allowed' : 'approval.refused')}, ${event.by}${event.note ? t('why.colon') + event.note : ''}`
    case 'limit_reached':
      return limitReached(event)
    case 'taken_over':
      return inHand('takenOver', event.what)
    case 'handed_back':
      return inHand('handedBack', event.what) + (event.note ? t('why.colon') + event.note : '')
    case 'hosts_changed':
      return event.allow_net.join(', ') || t('mark.hostsNone')
    case 'checkpoint_taken':
      return t('record.checkpoint', { number: event.checkpoint.number, at: event.checkpoint.at_seq })
    case 'checkpoint_missed':
    case 'put_down':
      return event.reason
    case 'checkpoints_let_go':
      return event.numbers.join(', ')
    case 'workspace_restored':
      return t('mark.restored', { number: event.number }) + (event.problem ? t('why.colon') + event.problem : '')
    case 'computer_slept':
      return t('mark.slept', { span: lasting(event.waited_ms) })
    case 'connection_opened':
      return `${event.connection.number} ${event.connection.host}:${event.connection.port} ${event.connection.way}`
    case 'connection_refused':
      return `${event.connection.number} ${event.connection.host}:${event.connection.port} ${ruled(event.refused)}`
    case 'connection_closed': {
      const { number, address, refused } = event.closed
      const { up, down } = passed(event.closed)
      return [number, address, ways(up, down), refused && ruled(refused)].filter((part) => part !== null && part !== undefined && part !== '').join(' ')
    }
    case 'connections_counted': {
      const { host, port, opened, refused, bytes_up, bytes_down } = event.counted
      return `${host}:${port} ×${opened + refused} ${ways(bytes_up, bytes_down)}`
    }
    case 'task_ended':
      return `${t(`state.${event.state}`)}${t('why.colon')}${event.reason}`
    default: {
      const { event: _, ...rest } = event
      return JSON.stringify(rest)
    }
  }
}

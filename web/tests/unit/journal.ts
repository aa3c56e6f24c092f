// Recorded journals for the tests, and small ones put together by hand.

import { readFileSync } from 'node:fs'
import type { Event, Label, Recorded, ToolFact, ToolStatus } from '../../src/api/events'
import { Timeline } from '../../src/view/timeline'
import type { TaskView } from '../../src/view/view'

export function recorded(name: string): Recorded[] {
  const text = readFileSync(new URL(`../journals/${name}.jsonl`, import.meta.url), 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Recorded)
}

/** Events one second apart, as a journal numbers them. */
export function journal(...events: Event[]): Recorded[] {
  return events.map((event, at) => ({ seq: at + 1, time_ms: 1_000_000 + at * 1000, event }))
}

export function timeline(events: Recorded[]): Timeline {
  const made = new Timeline()
  for (const event of events) made.push(event)
  return made
}

export function viewOf(...events: Event[]): TaskView {
  return timeline(journal(...events)).head()
}

const label: Label = { integrity: 'trusted', confidentiality: 'private', sources: [] }

const blob = { digest: '0'.repeat(64), bytes: 0 }

export const created: Event = {
  event: 'task_created',
  id: 't',
  brief: 'Do it',
  model: 'openai:m',
  scripted: false,
  options: { max_steps: null, max_cost: null, max_time_ms: null, out: null, workspace: null, yes: false },
  inputs: [],
  system: blob,
  tools: blob,
  policy: blob,
  boot: 'b',
  engine: '0.1.0'
}

export function call(id: number, tool: string, args: Record<string, unknown> = {}): Event {
  return { event: 'effect_requested', effect: { effect: 'tool', id, turn: 1, call_id: `c${id}`, tool, arguments: args, labels: {} } }
}

export const started = (id: number): Event => ({ event: 'effect_started', id, boot: 'b' })

export function result(id: number, text = '', facts: ToolFact[] = [], status: ToolStatus = 'ok'): Event {
  return { event: 'tool_finished', id, result: { status, text, label, facts } }
}

export function says(id: number, text: string, cost: number | null = 0): Event {
  return { event: 'model_replied', id, reply: { message: { text }, finish: 'stop' }, cost }
}

export const message = (text: string): Event => ({ event: 'message_received', text, label })

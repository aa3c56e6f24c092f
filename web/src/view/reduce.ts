// The one reducer: events in, what is on screen out. Live, replay and a shared link all come through here. It reads no
// clock, asks no server, and throws at no event: what it does not know it passes over.

import type { Effect, EffectId, Event, PageSeen, Recorded, Reply, ToolCall, ToolResult } from '../api/events'
import { contact, decided, saidOf, wanted } from './network'
import { isShownElsewhere, shownAs } from './tools'
import { emptyView, type Approval, type Entry, type FileVersion, type Mark, type Step, type TaskView } from './view'

export { emptyView }

/** A moment of its own: entries are never changed in place, so copying the lists is enough. */
export function copyView(view: TaskView): TaskView {
  const { entries, open, unanswered, files, pages, contacts, connections, hosts } = view
  return {
    ...view,
    entries: entries.slice(),
    open: new Map(open),
    unanswered: new Map(unanswered),
    files: new Map(files),
    pages: pages.slice(),
    contacts: contacts.slice(),
    connections: new Map(connections),
    hosts: new Map(hosts)
  }
}

/** Folds one event in. Says whether anything a person would look at came or changed. */
export function apply(view: TaskView, recorded: Recorded): boolean {
  const { seq, time_ms: atMs, event } = recorded
  view.seq = seq
  view.nowMs = atMs
  const add = (entry: Entry): number => view.entries.push(entry) - 1
  const mark = (what: Mark['what']): true => {
    add({ kind: 'mark', seq, atMs, what })
    return true
  }
  switch (event.event) {
    case 'task_created':
      return created(view, seq, atMs, event)
    case 'message_received':
      closeQuestion(view)
      view.unread = view.ended !== null
      add({ kind: 'said', seq, atMs, by: 'person', text: event.text, reasoning: '', files: [] })
      return true
    case 'effect_requested':
      return requested(view, seq, atMs, event.effect)
    case 'effect_decided':
      decided(view, event.id, event.decision)
      change(view, event.id, (entry) => (entry.kind === 'step' ? { ...entry, decision: event.decision } : entry))
      return event.decision.outcome === 'deny'
    case 'approval_requested':
      return asked(view, seq, atMs, event)
    case 'approval_answered':
      return answered(view, atMs, event)
    case 'effect_started':
      if (view.thinking?.effect === event.id) view.thinking = { ...view.thinking, sinceMs: atMs }
      change(view, event.id, (entry) => (entry.kind === 'step' ? { ...entry, status: 'running' } : entry))
      return false
    case 'model_attempt_failed':
      if (view.thinking) view.thinking = { ...view.thinking, attempt: event.attempt + 1 }
      return mark({ mark: 'retry', reason: event.reason, attempt: event.attempt, inMs: event.retry_in_ms })
    case 'model_replied':
      return replied(view, seq, atMs, event.reply, event.cost)
    case 'model_failed':
      view.thinking = null
      return mark({ mark: 'model_failed', failure: event.kind, reason: event.reason })
    case 'tool_finished':
      return finished(view, seq, atMs, event.id, event.result)
    case 'options_changed':
      view.options = event.options
      return mark({ mark: 'options', options: event.options })
    case 'hosts_changed':
      view.options = { ...view.options, allow_net: event.allow_net }
      return mark({ mark: 'hosts', hosts: event.allow_net })
    case 'resumed': {
      // Who takes a task up that only waited interrupts nothing, and nothing is said of it.
      const waited = view.question !== null || view.approval !== null
      const broken = !waited && (view.thinking !== null || view.open.size > 0)
      const last = view.entries.at(-1)
      const putDown = last?.kind === 'mark' && last.what.mark === 'put_down'
      const tell = view.ended !== null || putDown || broken
      view.ended = null
      view.unread = false
      view.stopping = false
      view.approval = nextApproval(view)
      return tell && mark({ mark: 'resumed' })
    }
    case 'put_down':
      return mark({ mark: 'put_down' })
    case 'limit_reached':
      return mark({ mark: 'limit', limit: event.limit, used: event.used, max: event.max })
    case 'autorun_changed':
      return event.files.length > 0 && mark({ mark: 'autorun', files: event.files, cut: event.cut })
    case 'forked':
      view.options = event.options
      view.createdMs = atMs
      view.deliverables = []
      view.steps = 0
      view.spent = 0
      view.unpriced = 0
      view.usage = { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0 }
      view.takenOver = null
      view.stopping = false
      view.unread = false
      return mark({ mark: 'forked', task: view.forkedFrom?.task ?? '', checkpoint: view.forkedFrom?.checkpoint ?? 0 })
    case 'computer_slept':
      return mark({ mark: 'slept', waitedMs: event.waited_ms })
    case 'workspace_restored':
      return mark({ mark: 'restored', number: event.number, problem: event.problem ?? '' })
    // Kept in silence: what can be done with a checkpoint is offered where the person asks for it.
    case 'checkpoint_taken':
    case 'checkpoint_missed':
    case 'checkpoints_let_go':
    case 'restore_begun':
      return false
    case 'stop_requested':
      view.stopping = true
      return mark({ mark: 'stopping', by: event.by })
    case 'taken_over':
      view.takenOver = event.what
      if (event.page) pageSeen(view, seq, event.page)
      return mark({ mark: 'taken_over', what: event.what })
    case 'handed_back':
      view.takenOver = null
      if (event.page) pageSeen(view, seq, event.page)
      return mark({ mark: 'handed_back', what: event.what, note: event.note })
    case 'task_ended':
      view.takenOver = null
      view.ended = { state: event.state, cause: event.cause, reason: event.reason, text: event.text }
      view.thinking = null
      view.stopping = false
      closeQuestion(view)
      view.approval = null
      interruptOpen(view, seq, atMs)
      return mark({ mark: 'ended', state: event.state, cause: event.cause, reason: event.reason, text: event.text })
    case 'connection_opened':
    case 'connection_closed':
    case 'connection_refused':
    case 'connections_counted':
    case 'grant_ended':
      return contact(view, seq, atMs, event)
    case 'time_reached':
      return false
    default:
      // A kind that the page does not know yet, or that changes nothing on screen.
      return false
  }
}

function created(view: TaskView, seq: number, atMs: number, event: Extract<Event, { event: 'task_created' }>): true {
  view.id = event.id
  view.brief = event.brief
  view.model = event.model
  view.scripted = event.scripted
  view.engine = event.engine
  view.options = event.options
  view.createdMs = atMs
  const origin = event.forked_from
  view.forkedFrom = origin ? { task: origin.task, checkpoint: origin.checkpoint.number, atSeq: origin.at_seq } : null
  view.entries.push({ kind: 'said', seq, atMs, by: 'person', text: event.brief, reasoning: '', files: event.inputs ?? [] })
  return true
}

function requested(view: TaskView, seq: number, atMs: number, effect: Effect): boolean {
  if (effect.effect === 'model') {
    view.thinking = { effect: effect.id, sinceMs: atMs, attempt: 1 }
    return false
  }
  // A host is no step of the agent's: what is asked about it stands in the question.
  if (effect.effect === 'reach') {
    view.hosts.set(effect.id, { host: effect.host, port: effect.port, decision: null, allowed: null, line: null })
    return false
  }
  const { icon: _, tab } = shownAs(effect.tool)
  const step: Step = {
    kind: 'step',
    seq,
    atMs,
    effect: effect.id,
    tool: effect.tool,
    arguments: effect.arguments,
    tab,
    status: 'asked',
    decision: null,
    endSeq: null,
    endMs: null,
    text: '',
    facts: []
  }
  const at = view.entries.push(step) - 1
  view.open.set(effect.id, at)
  if (tab) view.focus = at
  return true
}

function replied(view: TaskView, seq: number, atMs: number, reply: Reply, cost: number | null): boolean {
  view.thinking = null
  view.steps += 1
  if (cost === null || cost === undefined) view.unpriced += 1
  else view.spent += cost
  if (reply.usage) {
    view.usage = {
      input_tokens: view.usage.input_tokens + reply.usage.input_tokens,
      cached_input_tokens: view.usage.cached_input_tokens + reply.usage.cached_input_tokens,
      output_tokens: view.usage.output_tokens + reply.usage.output_tokens
    }
  }
  const text = (reply.message.text ?? '').trim()
  const reasoning = (reply.message.reasoning ?? '').trim()
  if (!text && !reasoning) return false
  view.entries.push({ kind: 'said', seq, atMs, by: 'agent', text, reasoning, files: [] })
  return true
}

function asked(view: TaskView, seq: number, atMs: number, event: Extract<Event, { event: 'approval_requested' }>): true {
  const step = stepOf(view, event.id)
  const host = view.hosts.get(event.id)
  const entry: Approval = {
    kind: 'approval',
    seq,
    atMs,
    effect: event.id,
    digest: event.effect_digest,
    tool: step?.tool ?? (host ? 'reach' : ''),
    arguments: step?.arguments ?? (host ? { host: host.host, port: host.port } : {}),
    question: event.question,
    decision: step?.decision ?? host?.decision ?? null,
    answer: null
  }
  view.unanswered.set(event.id, view.entries.push(entry) - 1)
  view.approval = nextApproval(view)
  wanted(view, seq, atMs, event.id)
  return true
}

/** What the task waits for first: a call of the agent's, then the host that was asked for first. */
function nextApproval(view: TaskView): number | null {
  const order = ([effect]: [EffectId, number]) => (view.hosts.has(effect) ? effect : -1)
  const [first] = [...view.unanswered].sort((a, b) => order(a) - order(b))
  return first?.[1] ?? null
}

function answered(view: TaskView, atMs: number, event: Extract<Event, { event: 'approval_answered' }>): boolean {
  const at = view.unanswered.get(event.id)
  const entry = at === undefined ? undefined : view.entries[at]
  if (at === undefined || entry?.kind !== 'approval') {
    // A yes that is taken back.
    saidOf(view, event.id, event.allowed)
    return view.hosts.has(event.id)
  }
  view.entries[at] = { ...entry, answer: { allowed: event.allowed, by: event.by, note: event.note, atMs } }
  view.unanswered.delete(event.id)
  view.approval = nextApproval(view)
  saidOf(view, event.id, event.allowed)
  return true
}

function finished(view: TaskView, seq: number, atMs: number, effect: number, result: ToolResult): boolean {
  const facts = result.facts ?? []
  const step = stepOf(view, effect)
  change(view, effect, (entry) =>
    entry.kind === 'step' ? { ...entry, status: result.status, endSeq: seq, endMs: atMs, text: result.text, facts } : entry
  )
  if (step && result.status === 'ok') fileChange(view, seq, step)
  view.open.delete(effect)
  const page = facts.find((fact) => fact.fact === 'page')
  const picture = facts.find((fact) => fact.fact === 'picture')
  if (page) pageSeen(view, seq, page.page)
  // In an older record there are only the pictures that the agent asked for.
  else if (picture) pageSeen(view, seq, { title: '', address: '', picture: picture.picture })
  for (const fact of facts) {
    if (fact.fact === 'plan') planned(view, seq, atMs, fact.plan.steps)
    else if (fact.fact === 'acceptance') view.acceptance = fact.items
    else if (fact.fact === 'notice')
      view.entries.push({ kind: 'said', seq, atMs, by: 'agent', text: fact.text, reasoning: '', files: [] })
    else if (fact.fact === 'question')
      view.question = view.entries.push({ kind: 'question', seq, atMs, text: fact.text, open: true }) - 1
    else if (fact.fact === 'delivered') {
      const names = new Set(fact.files.map((file) => file.name))
      view.deliverables = [...view.deliverables.filter((file) => !names.has(file.name)), ...fact.files]
      const acceptance = facts.find((other) => other.fact === 'acceptance')
      view.entries.push({ kind: 'delivery', seq, atMs, files: fact.files, acceptance: acceptance?.items ?? view.acceptance })
    }
  }
  return true
}

function pageSeen(view: TaskView, seq: number, page: PageSeen): void {
  view.pages.push({ seq, title: page.title, address: page.address, picture: page.picture?.digest ?? null })
}

/** The plan was replaced; where it moved on, a heading says to what. */
function planned(view: TaskView, seq: number, atMs: number, steps: TaskView['plan']): void {
  const current = (plan: TaskView['plan']) => plan.findIndex((step) => step.status === 'in_progress')
  const before = view.plan[current(view.plan)]?.text
  const at = current(steps)
  const now = steps[at]
  view.plan = steps
  if (now && now.text !== before)
    view.entries.push({ kind: 'phase', seq, atMs, number: at + 1, total: steps.length, text: now.text })
}

/** What a step that wrote a file made of it, as far as the record tells. */
function fileChange(view: TaskView, seq: number, step: Step): void {
  const path = workspacePath(step.arguments['path'])
  if (path === null) return
  const before = view.files.get(path)?.after ?? null
  const version = (after: string | null): FileVersion => ({ seq, effect: step.effect, before, after })
  if (step.tool === 'file_write') {
    const content = String(step.arguments['content'] ?? '')
    const appended = before === null ? null : before + content
    view.files.set(path, version(step.arguments['append'] === true ? appended : content))
  } else if (step.tool === 'file_str_replace') {
    const [old, next] = [String(step.arguments['old'] ?? ''), String(step.arguments['new'] ?? '')]
    const at = before?.indexOf(old) ?? -1
    view.files.set(path, version(before === null || at < 0 ? null : before.slice(0, at) + next + before.slice(at + old.length)))
  }
}

/** A path as the list of files has it: relative to the workspace. */
export function workspacePath(path: unknown): string | null {
  if (typeof path !== 'string' || !path) return null
  return path.replace(/^\/workspace\//, '').replace(/^(\.\/)+/, '')
}

function closeQuestion(view: TaskView): void {
  if (view.question === null) return
  const entry = view.entries[view.question]
  if (entry?.kind === 'question') view.entries[view.question] = { ...entry, open: false }
  view.question = null
}

/** A task that ended leaves nothing under way. Should a resume attach to a call, its result replaces this. */
function interruptOpen(view: TaskView, seq: number, atMs: number): void {
  for (const at of view.open.values()) {
    const entry = view.entries[at]
    if (entry?.kind === 'step') view.entries[at] = { ...entry, status: 'interrupted', endSeq: seq, endMs: atMs }
  }
}

function stepOf(view: TaskView, effect: number): Step | null {
  const at = view.open.get(effect)
  const entry = at === undefined ? undefined : view.entries[at]
  return entry?.kind === 'step' ? entry : null
}

function change(view: TaskView, effect: number, next: (entry: Entry) => Entry): void {
  const at = view.open.get(effect)
  const entry = at === undefined ? undefined : view.entries[at]
  if (at !== undefined && entry) view.entries[at] = next(entry)
}

/** Whether a step has a line of its own; one whose result is a plan or a message has not, unless it went wrong. */
export function hasLine(step: Step): boolean {
  if (step.status === 'asked' || step.status === 'running') return !QUIET.has(step.tool)
  return step.status !== 'ok' || !isShownElsewhere(step.facts)
}

const QUIET = new Set<ToolCall['tool']>(['plan_update', 'message_notify_user', 'message_ask_user', 'idle'])

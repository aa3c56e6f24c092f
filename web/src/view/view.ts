// What is on screen of a task at one moment: the reducer's result, and nothing that cannot be read off the events.
//
// Every entry is replaced and never changed, so that a moment can be kept as a copy of one list (see timeline.ts).

import type {
  AcceptanceItem,
  ComputerPart,
  Decision,
  Deliverable,
  Digest,
  EffectId,
  EndState,
  FailureKind,
  LimitKind,
  PlanStep,
  StopCause,
  TaskOptions,
  ToolFact,
  ToolStatus,
  Usage,
  Why
} from '../api/events'

/** Where the work of a step is seen. */
export type Tab = 'terminal' | 'browser' | 'files' | 'network'

export interface Said {
  kind: 'said'
  seq: number
  atMs: number
  by: 'person' | 'agent'
  text: string
  reasoning: string
  /** Files that came with the words. */
  files: string[]
}

/** What the person chose to look at. */
export interface Look {
  tab: Tab
  step: Step | null
  file: string | null
  /** A terminal; null is the record of the commands, and nothing follows the agent. */
  terminal?: string | null
}

/** One tool call, from asked for to finished. */
export interface Step {
  kind: 'step'
  seq: number
  atMs: number
  effect: EffectId
  tool: string
  arguments: Record<string, unknown>
  tab: Tab | null
  status: 'asked' | 'running' | ToolStatus
  decision: Decision | null
  endSeq: number | null
  endMs: number | null
  text: string
  facts: ToolFact[]
}

/** The plan moved on to another of its steps. */
export interface Phase {
  kind: 'phase'
  seq: number
  atMs: number
  number: number
  total: number
  text: string
}

export interface Question {
  kind: 'question'
  seq: number
  atMs: number
  text: string
  open: boolean
}

export interface Approval {
  kind: 'approval'
  seq: number
  atMs: number
  effect: EffectId
  digest: Digest
  tool: string
  arguments: Record<string, unknown>
  question: string
  decision: Decision | null
  answer: { allowed: boolean; by: string; note: string; atMs: number } | null
}

export interface Delivery {
  kind: 'delivery'
  seq: number
  atMs: number
  files: Deliverable[]
  acceptance: AcceptanceItem[]
}

/** Something that happened to the task itself. */
export interface Mark {
  kind: 'mark'
  seq: number
  atMs: number
  what:
    | { mark: 'resumed' }
    | { mark: 'put_down' }
    | { mark: 'options'; options: TaskOptions }
    /** What programs may reach from here on. */
    | { mark: 'hosts'; hosts: string[] }
    | { mark: 'retry'; reason: string; attempt: number; inMs: number }
    | { mark: 'model_failed'; failure: FailureKind; reason: string }
    | { mark: 'limit'; limit: LimitKind; used: number; max: number }
    | { mark: 'stopping'; by: string }
    | { mark: 'taken_over'; what: ComputerPart }
    | { mark: 'handed_back'; what: ComputerPart; note: string }
    /** Files of the lent folder that programs of the person's run by themselves. */
    | { mark: 'autorun'; files: { path: string; when: string }[]; cut: boolean }
    /** From here on the task is its own; what stands above is another one's. */
    | { mark: 'forked'; task: string; checkpoint: number }
    /** Nobody came for long: the computer was ended. */
    | { mark: 'slept'; waitedMs: number }
    /** The person set the workspace back to a checkpoint. */
    | { mark: 'restored'; number: number; problem: string }
    | { mark: 'ended'; state: EndState; cause: StopCause; reason: string; text: string }
}

export type Entry = Said | Step | Phase | Question | Approval | Delivery | Mark

/** The browser's page as it stood at a moment. */
export interface PageMoment {
  seq: number
  title: string
  address: string
  /** None where the page could not be pictured, or no picture of it is kept. */
  picture: Digest | null
}

/** What is known of a file from the steps that wrote it. */
export interface FileVersion {
  seq: number
  effect: EffectId
  before: string | null
  after: string | null
}

/** What the computer's programs wanted to reach: one line for each connection, or for many that were only counted. */
export interface Contact {
  key: string
  seq: number
  atMs: number
  host: string
  port: number
  way: 'http' | 'tls' | 'connect' | 'socks' | null
  /** Connections of this line, and how many of them were refused. */
  count: number
  refusals: number
  /** Asked: the person is to say; allowed: they said yes, and nothing has come of it yet; failed: nobody
   *  was there; cut: it was ended from our side. */
  state: 'asked' | 'allowed' | 'open' | 'closed' | 'refused' | 'failed' | 'cut' | 'counted'
  /** Who said so: the person when they were asked, or the rule that is named. */
  by: 'person' | 'rule' | null
  rule: string
  address: string
  /** Bytes each way; null where nobody knows. */
  up: number | null
  down: number | null
  /** They are what passed at the most, on lines whose end nobody knows. */
  atMost: boolean
  ms: number | null
  reason: string
  /** The same in parts, where policy said it. */
  why: Why[]
}

/** A host that a program wants to reach, and what was said to that. */
export interface Asked {
  host: string
  port: number
  decision: Decision | null
  /** The person's word, if they were asked. */
  allowed: boolean | null
  /** The line that shows the question, until a connection takes its place. */
  line: number | null
}

export interface Ended {
  state: EndState
  cause: StopCause
  reason: string
  text: string
}

export interface TaskView {
  seq: number
  nowMs: number
  id: string
  brief: string
  model: string
  scripted: boolean
  engine: string
  createdMs: number
  /** Where the task comes from, if it began as a copy of another one. */
  forkedFrom: { task: string; checkpoint: number; atSeq: number } | null
  options: TaskOptions
  entries: Entry[]
  /** Places in `entries` of what is under way, by effect. */
  open: Map<EffectId, number>
  plan: PlanStep[]
  acceptance: AcceptanceItem[]
  deliverables: Deliverable[]
  /** The model is being asked since then. */
  thinking: { effect: EffectId; sinceMs: number; attempt: number } | null
  /** Places of the question and of the approval that wait for the person; and of all approvals without an answer, by effect. */
  question: number | null
  approval: number | null
  unanswered: Map<EffectId, number>
  /** What of the computer the person has in their own hands. */
  takenOver: ComputerPart | null
  stopping: boolean
  ended: Ended | null
  /** The person has spoken since the end. */
  unread: boolean
  /** Replies of the model, which is what a limit on steps counts. */
  steps: number
  /** Millionths of a US dollar, and calls whose price is not known. */
  spent: number
  unpriced: number
  usage: Usage
  /** The last step that is seen in the computer. */
  focus: number | null
  files: Map<string, FileVersion>
  /** What the browser showed, oldest first. */
  pages: PageMoment[]
  /** The network, oldest first; and the places of connections that are open, by number. */
  contacts: Contact[]
  connections: Map<number, number>
  /** Hosts that a program wants to reach, by effect. */
  hosts: Map<EffectId, Asked>
}

export function emptyView(): TaskView {
  return {
    seq: 0,
    nowMs: 0,
    id: '',
    brief: '',
    model: '',
    scripted: false,
    engine: '',
    createdMs: 0,
    forkedFrom: null,
    options: { max_steps: null, max_cost: null, max_time_ms: null, out: null, workspace: null, yes: false },
    entries: [],
    open: new Map(),
    plan: [],
    acceptance: [],
    deliverables: [],
    thinking: null,
    question: null,
    approval: null,
    unanswered: new Map(),
    takenOver: null,
    stopping: false,
    ended: null,
    unread: false,
    steps: 0,
    spent: 0,
    unpriced: 0,
    usage: { input_tokens: 0, cached_input_tokens: 0, output_tokens: 0 },
    focus: null,
    files: new Map(),
    pages: [],
    contacts: [],
    connections: new Map(),
    hosts: new Map()
  }
}

/** How the task stands, as far as its own events tell. */
export type Standing = 'running' | 'waiting' | EndState

export function standing(view: TaskView): Standing {
  if (view.ended) return view.ended.state
  return view.question !== null || view.approval !== null || view.takenOver !== null ? 'waiting' : 'running'
}

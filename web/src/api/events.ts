// The events of a task as they come over the wire: what `crates/event` writes, in TypeScript. It holds no behaviour.
//
// Names and spelling are the journal's own. An event of a kind that is not listed here comes from a newer server; whoever
// reads events passes over it.

export type Digest = string
export type EffectId = number

export type StepStatus = 'pending' | 'in_progress' | 'done' | 'skipped'
export interface PlanStep {
  text: string
  status: StepStatus
}
export interface Plan {
  steps: PlanStep[]
}

export type AcceptanceStatus = 'passed' | 'failed' | 'unchecked' | 'waived'
export interface AcceptanceCheck {
  kind: string
  file?: string
  at_least?: number
  text?: string
  data?: string[]
}
export interface AcceptanceItem {
  text: string
  status: AcceptanceStatus
  note?: string
  check?: AcceptanceCheck
}

export interface Deliverable {
  name: string
  path?: string
  bytes: number
  digest: Digest
  finding: string
  description?: string
}

export interface Label {
  integrity: 'trusted' | 'untrusted'
  confidentiality: 'public' | 'private' | 'secret'
  sources: unknown[]
  more_sources?: boolean
}

export interface ModelCall {
  effect: 'model'
  id: EffectId
  turn: number
  model: string
  input_tokens_max: number
  output_tokens_max: number
  reserved?: number
  label: Label
}
export interface ToolCall {
  effect: 'tool'
  id: EffectId
  turn: number
  call_id: string
  tool: string
  arguments: Record<string, unknown>
  labels: Record<string, Label>
}
/** A host and port that a program in the computer wants to reach. */
export interface Reach {
  effect: 'reach'
  id: EffectId
  host: string
  port: number
}
export type Effect = ModelCall | ToolCall | Reach

export interface Connection {
  number: number
  effect?: EffectId
  way: 'http' | 'tls' | 'connect' | 'socks'
  host: string
  port: number
}
export interface Refusal {
  rule: string
  reason: string
}
export interface Closed {
  number: number
  address?: string
  tls_name?: string
  bytes_up: number
  bytes_down: number
  ms: number
  refused?: Refusal
}
export interface Counted {
  host: string
  port: number
  opened: number
  refused: number
  bytes_up: number
  bytes_down: number
}

export interface Decision {
  outcome: 'allow' | 'deny' | 'ask'
  tier: 'autonomous' | 'user_authorised' | 'user_only'
  rules: string[]
  reason: string
  effect_digest: Digest
}

export type ToolStatus = 'ok' | 'invalid' | 'refused' | 'failed' | 'interrupted' | 'unknown'
export type ToolFact =
  | { fact: 'plan'; plan: Plan }
  | { fact: 'acceptance'; items: AcceptanceItem[] }
  | { fact: 'notice'; text: string }
  | { fact: 'question'; text: string }
  | { fact: 'delivered'; files: Deliverable[] }
  | { fact: 'command'; exit_code: number | null; output_bytes: number; running: boolean }
  | { fact: 'idle'; text: string }
export interface ToolResult {
  status: ToolStatus
  text: string
  label: Label
  facts?: ToolFact[]
}

export interface Usage {
  input_tokens: number
  cached_input_tokens: number
  output_tokens: number
}
export interface Reply {
  message: { text?: string; reasoning?: string; tool_calls?: { id: string; name: string; arguments: string }[] }
  finish: 'stop' | 'tool_calls' | 'length' | 'content_filter' | 'other'
  usage?: Usage
  served_by?: string
}

export type LimitKind = 'steps' | 'cost' | 'time' | 'window' | 'resumes'
export type EndState = 'done' | 'stopped' | 'failed'
export type StopCause = 'finished' | 'person' | { limit: LimitKind } | 'model' | 'engine'

export interface TaskOptions {
  max_steps: number | null
  /** Millionths of a US dollar. */
  max_cost: number | null
  max_time_ms: number | null
  yes: boolean
  workspace?: string | null
  out?: string | null
}

export type Event =
  | {
      event: 'task_created'
      id: string
      brief: string
      model: string
      scripted: boolean
      options: TaskOptions
      inputs: string[]
      engine: string
    }
  | { event: 'resumed'; engine: string; boot: string; previous_lived_ms: number | null }
  | { event: 'put_down'; reason: string }
  | { event: 'options_changed'; options: TaskOptions }
  | { event: 'message_received'; text: string; label: Label }
  | { event: 'effect_requested'; effect: Effect }
  | { event: 'effect_decided'; id: EffectId; decision: Decision }
  | { event: 'approval_requested'; id: EffectId; effect_digest: Digest; question: string }
  | { event: 'approval_answered'; id: EffectId; effect_digest: Digest; allowed: boolean; by: string; note: string }
  | { event: 'effect_started'; id: EffectId; boot: string }
  | { event: 'model_attempt_failed'; id: EffectId; attempt: number; reason: string; retry_in_ms: number }
  | { event: 'model_replied'; id: EffectId; reply: Reply; cost: number | null }
  | { event: 'model_failed'; id: EffectId; kind: 'transient' | 'window_exceeded' | 'rejected'; reason: string }
  | { event: 'tool_finished'; id: EffectId; result: ToolResult }
  | { event: 'connection_opened'; connection: Connection }
  | { event: 'connection_closed'; closed: Closed }
  | { event: 'connection_refused'; connection: Connection; refused: Refusal }
  | { event: 'connections_counted'; counted: Counted }
  | { event: 'grant_ended'; id: EffectId; refused: Refusal }
  | { event: 'limit_reached'; limit: LimitKind; used: number; max: number }
  | { event: 'time_reached'; at_ms: number }
  | { event: 'stop_requested'; by: string }
  | { event: 'task_ended'; state: EndState; cause: StopCause; reason: string; text: string }

/** An event with its place on the record. */
export interface Recorded {
  seq: number
  time_ms: number
  event: Event
}

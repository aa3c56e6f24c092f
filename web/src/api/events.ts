// The events of a task as they come over the wire: names for what `openapi.ts` holds, which `npm run types` makes from the
// server's own API document. It holds no behaviour.
//
// An event of a kind that is not listed there comes from a newer server; whoever reads events passes over it.

import type { components } from './openapi'

type Schemas = components['schemas']

export type Digest = Schemas['Digest']
export type EffectId = Schemas['EffectId']
export type StepStatus = Schemas['StepStatus']
export type PlanStep = Schemas['PlanStep']
export type Plan = Schemas['Plan']
export type AcceptanceItem = Schemas['AcceptanceItem']
/** Of a file that was handed over, what both an event and a list say. */
export type Deliverable = Omit<Schemas['Deliverable'], 'path'>
export type Label = Schemas['Label']
export type ModelCall = Extract<Schemas['Effect'], { effect: 'model' }>
export type ToolCall = Extract<Schemas['Effect'], { effect: 'tool' }>
export type Decision = Schemas['Decision']
export type Why = Schemas['Why']
export type ToolStatus = Schemas['ToolStatus']
export type ToolFact = Schemas['ToolFact']
export type ComputerLimit = Schemas['ComputerLimit']
export type ToolResult = Schemas['ToolResult']
export type PageSeen = Schemas['PageSeen']
export type Usage = Schemas['Usage']
export type Reply = Schemas['Reply']
export type FailureKind = Schemas['FailureKind']
export type LimitKind = Schemas['LimitKind']
export type EndState = Schemas['EndState']
export type StopCause = Schemas['StopCause']
export type ComputerPart = Schemas['ComputerPart']
export type TaskOptions = Schemas['TaskOptions']

export type Connection = Schemas['Connection']
export type Refusal = Schemas['Refusal']
export type Closed = Schemas['Closed']
export type Counted = Schemas['Counted']
export type Effect = Schemas['Effect']
export type Event = Schemas['Event']

/** An event with its place on the record. */
export interface Recorded {
  seq: number
  time_ms: number
  event: Event
}

// Requests to the server, and its refusals as it words them. It keeps nothing and repeats nothing.

import type { Act, Going } from './browser'
import { clock } from './clock'
import type { ComputerPart, Digest, EffectId } from './events'
import type { components } from './openapi'

export type TaskState = components['schemas']['TaskState']

/** A task in one look, as the lists have it. */
export type TaskSummary = components['schemas']['Task']

/** Which tasks are listed; all of them where it is empty. */
export interface TaskFilter {
  state?: TaskState
  search?: string
}

export interface Limits {
  max_steps?: number
  max_cost_usd?: number
  max_time?: string
}

export type Model = components['schemas']['Model']
export type FileInfo = components['schemas']['File']

export type Because = components['schemas']['Because']
export type ProblemType = components['schemas']['ProblemType'] extends `${string}#${infer Name}` ? Name : never

/** What the server did not do, in its own words, or that it could not be reached (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly hint: string,
    /** The kind of problem; null where the answer named none. */
    readonly type: ProblemType | null = null,
    /** Why, where that has a code. */
    readonly because: Because | null = null
  ) {
    super(detail)
  }
}

let ownName: string | null = null

/** Null in a browser that keeps nothing for the page: there a page that is loaded anew is another window. */
function kept<T>(what: () => T): T | null {
  try {
    return what()
  } catch {
    return null
  }
}

/** A name for this window: what it has taken over is refused to others. It is put away only while nobody looks, which is so when the
 *  page is loaded anew: a copy of the tab is given all that is stored, and is another window. */
function windowName(): string {
  if (ownName !== null) return ownName
  const KEPT = 'thenar.window'
  const name = (ownName = kept(() => sessionStorage.getItem(KEPT)) ?? [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join(''))
  const put = (away: boolean) => kept(() => (away ? sessionStorage.setItem(KEPT, name) : sessionStorage.removeItem(KEPT)))
  document.addEventListener('visibilitychange', () => put(document.hidden))
  window.addEventListener('pagehide', () => put(true))
  window.addEventListener('pageshow', () => put(false))
  put(document.hidden)
  return name
}

export async function request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, signal: AbortSignal | null = null): Promise<Response> {
  const all: Record<string, string> = method === 'GET' ? { ...headers } : { 'thenar-hand': windowName(), ...headers }
  const init: RequestInit = { method, headers: all, signal }
  if (body instanceof FormData) init.body = body
  else if (body !== undefined) {
    init.headers = { ...all, 'content-type': 'application/json' }
    init.body = JSON.stringify(body)
  }
  let response: Response
  try {
    response = await fetch(path, init)
  } catch {
    throw new Refusal(0, '', '')
  }
  if (response.ok) return response
  throw await refusal(response)
}

export async function refusal(response: Response): Promise<Refusal> {
  const told = (await response.json().catch(() => ({}))) as Partial<components['schemas']['Problem']>
  const type = (told.type?.split('#')[1] ?? null) as ProblemType | null
  return new Refusal(response.status, told.detail ?? response.statusText, told.hint ?? '', type, told.because ?? null)
}

async function json<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const response = await request(method, path, body, headers, signal)
  clock.hear(response)
  if (response.status === 204) return undefined as T
  try {
    return (await response.json()) as T
  } catch {
    // Cut off, or of something that stands before the server.
    throw new Refusal(0, '', '')
  }
}

/** A path of a file inside an address: each part by itself, so that the slashes stay. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** A kept state of the workspace. */
export interface Checkpoint {
  number: number
  at_seq: number
}
export type Share = components['schemas']['Share']
export type SharedTask = components['schemas']['SharedTask']

/** A task by the key of a link that somebody was given. */
const by = (key: string) => `/v1/shared/${encodeURIComponent(key)}`
const of = (id: string) => `/v1/tasks/${encodeURIComponent(id)}`

export interface NewTask extends Limits {
  task: string
  model?: string
  yes?: boolean
  /** Without it, what the settings say. */
  allow_net?: string[]
  secrets?: string[]
  files: File[]
  /** The same key always makes the same task: a repeated click or a lost answer makes no second one. */
  key: string
}

export const api = {
  tasks: (filter: TaskFilter, cursor?: string) =>
    json<{ tasks: TaskSummary[]; next: string | null; broken: string[] }>(
      'GET',
      `/v1/tasks?${new URLSearchParams({ limit: '100', ...filter, ...(cursor && { cursor }) }).toString()}`
    ),
  task: (id: string) => json<TaskSummary>('GET', of(id)),
  /** What is broken off may be made all the same, as where an answer is lost. */
  create: ({ files, key, ...task }: NewTask, signal?: AbortSignal) => {
    let body: unknown = task
    if (files.length > 0) {
      const form = new FormData()
      for (const [name, value] of Object.entries(task)) if (value !== undefined) form.append(name, String(value))
      for (const file of files) form.append('file', file, file.name)
      body = form
    }
    return json<TaskSummary>('POST', '/v1/tasks', body, { 'idempotency-key': key }, signal)
  },
  /** The task that a script plays: for whoever has no model yet. */
  demo: (key: string) => json<TaskSummary>('POST', '/v1/demo', undefined, { 'idempotency-key': key }),
  remove: (id: string) => json<void>('DELETE', of(id)),
  say: (id: string, text: string) => json<{ text: string }>('POST', `${of(id)}/messages`, { text }),
  asked: (id: string) => json<{ effect: EffectId; digest: Digest; question: string; schema: JsonSchema }>('GET', `${of(id)}/confirm`),
  confirm: (id: string, answer: Record<string, unknown>) => json<{ text: string }>('POST', `${of(id)}/confirm`, answer),
  stop: (id: string) => json<{ text: string }>('POST', `${of(id)}/stop`, {}),
  resume: (id: string, limits: Limits = {}) => json<TaskSummary>('POST', `${of(id)}/resume`, limits),
  /** Changes what its programs may reach, at once. */
  changeHosts: (id: string, change: { allow?: string[]; deny?: string[] }) => json<{ allow_net: string[]; answered: string[] }>('POST', `${of(id)}/hosts`, change),
  takeOver: (id: string, what: ComputerPart) => json<{ text: string }>('POST', `${of(id)}/takeover`, { what }),
  handBack: (id: string, note: string) => json<{ text: string }>('POST', `${of(id)}/handback`, { note }),
  /** Whose hands the computer is in, as the server knows the windows. */
  whose: (id: string) => json<{ hand: Whose }>('GET', `${of(id)}/hand`, undefined, { 'thenar-hand': windowName() }),
  terminalUrl: (id: string, name: string) => `${of(id)}/terminals/${encodeURIComponent(name)}`,
  terminalKeys: (id: string, name: string, text: string, key: string) =>
    json<void>('POST', `${of(id)}/terminals/${encodeURIComponent(name)}/keys`, { text, id: key }),
  terminalSize: (id: string, name: string, columns: number, lines: number) =>
    json<void>('POST', `${of(id)}/terminals/${encodeURIComponent(name)}/size`, { columns, lines }),
  browserUrl: (id: string) => `${of(id)}/browser`,
  browserInput: (id: string, acts: Act[]) => json<void>('POST', `${of(id)}/browser/input`, { acts }),
  browserGo: (id: string, to: Going) => json<void>('POST', `${of(id)}/browser/go`, to),
  /** Files of the workspace for the page that asks for some; none tells it that there are none. */
  browserFiles: (id: string, paths: string[]) => json<void>('POST', `${of(id)}/browser/files`, { paths }),
  browserUpload: (id: string, files: Iterable<File>, signal?: AbortSignal) => {
    const form = new FormData()
    for (const file of files) form.append('file', file, file.name)
    return json<void>('POST', `${of(id)}/browser/upload`, form, undefined, signal)
  },
  browserSelection: (id: string) => json<{ text: string }>('GET', `${of(id)}/browser/selection`),
  pictureUrl: (id: string, digest: Digest) => `${of(id)}/pictures/${encodeURIComponent(digest)}`,
  checkpoints: (id: string) => json<{ checkpoints: Checkpoint[] }>('GET', `${of(id)}/checkpoints`),
  /** A new task with this one's history and files as they were at a checkpoint. */
  fork: (id: string, checkpoint: number, message: string) => json<TaskSummary>('POST', `${of(id)}/fork`, { checkpoint, ...(message && { message }) }),
  /** The workspace as it was at a checkpoint: the task must be in nobody's hand. */
  restore: (id: string, checkpoint: number) => json<TaskSummary>('POST', `${of(id)}/restore`, { checkpoint }),
  files: (id: string) => json<{ files: FileInfo[]; whole: boolean }>('GET', `${of(id)}/files`),
  fileUrl: (id: string, path: string) => `${of(id)}/files/${encodePath(path)}`,
  deliverableUrl: (id: string, name: string) => `${of(id)}/deliverables/${encodePath(name)}`,
  archiveUrl: (id: string) => `${of(id)}/archive`,
  /** The file as a page of its own that can run nothing and ask nothing: for a frame. */
  frameUrl: (id: string, name: string) => `${of(id)}/pages/${encodePath(name)}`,
  recordUrl: (id: string) => `${of(id)}/record`,
  eventsUrl: (id: string) => `${of(id)}/events`,
  shares: (id: string) => json<{ shares: Share[] }>('GET', `${of(id)}/shares`),
  share: (id: string, what: Share['what'], expires: string) => json<{ share: Share; path: string }>('POST', `${of(id)}/shares`, { what, expires }),
  unshare: (id: string, share: string) => json<void>('DELETE', `${of(id)}/shares/${encodeURIComponent(share)}`),
  shared: (key: string) => json<SharedTask>('GET', by(key)),
  sharedEventsUrl: (key: string) => `${by(key)}/events`,
  sharedFileUrl: (key: string, name: string) => `${by(key)}/deliverables/${encodePath(name)}`,
  sharedFrameUrl: (key: string, name: string) => `${by(key)}/pages/${encodePath(name)}`,
  sharedPictureUrl: (key: string, digest: Digest) => `${by(key)}/pictures/${encodeURIComponent(digest)}`,
  sharedArchiveUrl: (key: string) => `${by(key)}/archive`,
  models: () => json<{ models: Model[] }>('GET', '/v1/models'),
  settings: () => json<Settings>('GET', '/v1/settings'),
  putModel: (name: string, model: ModelSettings) => json<void>('PUT', `/v1/settings/models/${encodePath(name)}`, model),
  deleteModel: (name: string) => json<void>('DELETE', `/v1/settings/models/${encodePath(name)}`),
  chooseModel: (model: string | null) => json<void>('PUT', '/v1/settings/model', { model }),
  putLimits: (limits: Limits) => json<void>('PUT', '/v1/settings/limits', limits),
  putHosts: (hosts: string[]) => json<void>('PUT', '/v1/settings/hosts', { allow_net: hosts }),
  secrets: () => json<{ secrets: KeptSecret[] }>('GET', '/v1/secrets'),
  putSecret: (name: string, value: string, hosts: string[]) => json<void>('PUT', `/v1/secrets/${encodeURIComponent(name)}`, { value, hosts }),
  deleteSecret: (name: string) => json<void>('DELETE', `/v1/secrets/${encodeURIComponent(name)}`),
  tryModel: (model: string) => json<Trial>('POST', '/v1/settings/try', { model }),
  about: () => json<{ version: string }>('GET', '/v1/about'),
  doctor: () => json<Findings>('POST', '/v1/doctor', {}),
  budgets: () => json<Budgets>('GET', '/v1/budgets')
}

export type Whose = components['schemas']['Whose']
export type Settings = components['schemas']['Settings']
export type KnownModel = components['schemas']['KnownModel']
export type ModelSettings = components['schemas']['ModelSettings']
export type KeptSecret = components['schemas']['Secret']
export type Trial = components['schemas']['Trial']
export type Findings = components['schemas']['Findings']
export type Finding = components['schemas']['Finding']
export type Budgets = components['schemas']['Budgets']

/** As much of JSON Schema as a form is made from. */
export interface JsonSchema {
  type?: string
  title?: string
  description?: string
  const?: unknown
  enum?: unknown[]
  default?: unknown
  required?: string[]
  properties?: Record<string, JsonSchema>
  minimum?: number
  maximum?: number
  maxLength?: number
}

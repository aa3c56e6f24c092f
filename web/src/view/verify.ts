// Verifies a task's bundle in the page: the rules, and their order, of `thenar journal verify` and docs/verify_journal.py. It
// trusts nothing that the server says of the bundle; only the hash function comes from elsewhere: the browser's own, or, where
// the page came over plain HTTP from another machine and is not given that, a library's.
//
// A whole bundle proves that nothing in it was altered after its head was made known. It does not prove that whoever holds the
// only copy did not make all of it anew: compare the head with one that was kept elsewhere.

export type Fault =
  | 'missing'
  | 'not_canonical'
  | 'not_ended'
  | 'later_format'
  | 'genesis'
  | 'after_head'
  | 'after_blobs'
  | 'place'
  | 'payload'
  | 'envelope'
  | 'chain'
  | 'time'
  | 'content'
  | 'order'
  | 'count_records'
  | 'count_blobs'
  | 'hash'

/** The first place that does not hold, and why. */
export class Broken extends Error {
  constructor(
    readonly place: { what: 'header' | 'record' | 'blob' | 'head'; name: string },
    readonly fault: Fault
  ) {
    super(`${place.what} ${place.name}: ${fault}`)
  }
}

export interface Report {
  task: string
  records: number
  blobs: number
  head: string
}

/** A record that holds, with its payload. */
export interface Proven {
  seq: number
  timeMs: number
  kind: string
  hash: string
  payload: Uint8Array
}

const FORMAT = 'thenar-journal-bundle'
const VERSION = 1
const KIND = /^[A-Za-z0-9_.:/-]{1,64}$/
const TASK = /^[A-Za-z0-9_.:/-]{1,128}$/
const HASH = /^[0-9a-f]{64}$/
const SALT = /^[0-9a-f]{32}$/

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Fields = { [key: string]: Json }

/** Canonical JSON (RFC 8785); all keys are ASCII and all numbers are integers. */
function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value !== null && typeof value === 'object')
    return `{${Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonical(value[key] as Json)}`)
      .join(',')}}`
  return JSON.stringify(value)
}

async function digest(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  // Its type does not say that it can be missing.
  const browser = crypto.subtle as SubtleCrypto | undefined
  if (browser) return new Uint8Array(await browser.digest('SHA-256', content))
  return (await import('@noble/hashes/sha2.js')).sha256(content)
}

async function sha256(...parts: Uint8Array[]): Promise<string> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return hex(await digest(all))
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

class Malformed extends Error {}

function exactly(value: Json | undefined, keys: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed()
  if (Object.keys(value).sort().join(' ') !== keys) throw new Malformed()
  return value
}

function matching(pattern: RegExp, text: Json | undefined): string {
  if (typeof text !== 'string' || !pattern.test(text)) throw new Malformed()
  return text
}

function integer(value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Malformed()
  return value
}

/** The bytes that stand for themselves as text, or in base64 where they are none. */
function bytesOf(value: Json | undefined): Uint8Array {
  const fields = value as Fields
  if (typeof fields === 'object' && fields !== null && 'text' in fields) return encoder.encode(matching(/^/, exactly(fields, 'text')['text']))
  const text = matching(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, exactly(value, 'base64')['base64'])
  return Uint8Array.from(atob(text), (mark) => mark.charCodeAt(0))
}

function formOf(content: Uint8Array): Json {
  try {
    return { text: decoder.decode(content) }
  } catch {
    let marks = ''
    for (const byte of content) marks += String.fromCharCode(byte)
    return { base64: btoa(marks) }
  }
}

/** What `build` makes of a line, or null if the line is not the canonical form of exactly that. */
function parse<T>(line: Uint8Array, build: (value: Json) => [form: Json, made: T]): T | null {
  try {
    const text = decoder.decode(line)
    const [form, made] = build(JSON.parse(text) as Json)
    return canonical(form) === text ? made : null
  } catch {
    return null
  }
}

function buildHeader(value: Json): [Json, Fields] {
  const fields = exactly(value, 'format genesis task v')
  if (fields['format'] !== FORMAT || integer(fields['v']) !== VERSION || typeof fields['task'] !== 'string') throw new Malformed()
  matching(HASH, fields['genesis'])
  return [fields, fields]
}

interface RecordLine {
  envelope: Fields
  hash: string
  payload: Uint8Array
  salt: Uint8Array
}

function buildRecord(value: Json): [Json, RecordLine] {
  const fields = exactly(value, 'envelope hash payload salt')
  const envelope = exactly(fields['envelope'], 'kind payload prev seq time v')
  matching(KIND, envelope['kind'])
  matching(HASH, envelope['payload'])
  matching(HASH, envelope['prev'])
  integer(envelope['seq'])
  integer(envelope['time'])
  if (integer(envelope['v']) !== VERSION) throw new Malformed()
  const payload = bytesOf(fields['payload'])
  const hash = matching(HASH, fields['hash'])
  const salt = unhex(matching(SALT, fields['salt']))
  return [{ ...fields, payload: formOf(payload) }, { envelope, hash, payload, salt }]
}

function buildBlob(value: Json): [Json, { name: string; content: Uint8Array }] {
  const fields = exactly(value, 'blob content')
  const content = bytesOf(fields['content'])
  const name = matching(HASH, fields['blob'])
  return [{ blob: name, content: formOf(content) }, { name, content }]
}

function buildHead(value: Json): [Json, Fields] {
  const head = exactly(exactly(value, 'head')['head'], 'blobs hash records')
  integer(head['blobs'])
  integer(head['records'])
  matching(HASH, head['hash'])
  return [value, head]
}

function isLater(line: Uint8Array): boolean {
  try {
    const value = JSON.parse(decoder.decode(line)) as Fields
    return value['format'] === FORMAT && Number.isInteger(value['v']) && (value['v'] as number) > VERSION
  } catch {
    return false
  }
}

const startsWith = (line: Uint8Array, text: string) => decodeLoose(line.subarray(0, text.length)) === text
const decodeLoose = (bytes: Uint8Array) => String.fromCharCode(...bytes)

/** A bundle being verified, line by line. */
export class Verifier {
  #records = 0
  #blobs = 0
  #time = 0
  #hash = ''
  #lastBlob = ''
  #task = ''
  #done = false

  get records(): number {
    return this.#records
  }

  async header(line: Uint8Array, ended: boolean): Promise<void> {
    const broken = (fault: Fault) => new Broken({ what: 'header', name: '' }, fault)
    if (!ended) throw broken('not_ended')
    if (isLater(line)) throw broken('later_format')
    const header = parse(line, buildHeader)
    if (header === null) throw broken('not_canonical')
    this.#task = String(header['task'])
    const genesis = await sha256(encoder.encode('thenar journal v1 genesis\n'), encoder.encode(this.#task))
    if (!TASK.test(this.#task) || genesis !== header['genesis']) throw broken('genesis')
    this.#hash = genesis
  }

  /** A record, a blob, or the head. `last` is the last line there is; `said` is what it says if it is a head. */
  async line(line: Uint8Array, ended: boolean, last: boolean, said: { records: number; blobs: number } | null): Promise<Proven | null> {
    const kind = this.#kindOf(line, last, said)
    const name = kind === 'record' ? String(this.#records + 1) : kind === 'blob' ? this.#blobName(line) : ''
    const broken = (fault: Fault) => new Broken({ what: kind, name }, fault)
    if (!ended) throw broken('not_ended')
    if (kind === 'record') return this.#record(line, broken)
    if (kind === 'blob') await this.#blob(line, broken)
    else {
      this.#head(line, broken)
      if (!last) throw broken('after_head')
      this.#done = true
    }
    return null
  }

  report(): Report {
    if (!this.#done) throw new Broken({ what: 'head', name: '' }, 'missing')
    return { task: this.#task, records: this.#records, blobs: this.#blobs, head: this.#hash }
  }

  /** What a line is by its first bytes, or, where those are damaged, by what must stand there. */
  #kindOf(line: Uint8Array, last: boolean, said: { records: number; blobs: number } | null): 'record' | 'blob' | 'head' {
    if (startsWith(line, '{"envelope":')) return 'record'
    if (startsWith(line, '{"blob":"')) return 'blob'
    if (startsWith(line, '{"head":') || last || said === null) return 'head'
    if (this.#records < said.records) return 'record'
    return this.#blobs < said.blobs ? 'blob' : 'head'
  }

  #blobName(line: Uint8Array): string {
    const name = decodeLoose(line.subarray(9, 73))
    return HASH.test(name) ? name : `#${this.#blobs + 1}`
  }

  async #record(line: Uint8Array, broken: (fault: Fault) => Broken): Promise<Proven> {
    if (this.#blobs > 0) throw broken('after_blobs')
    const record = parse(line, buildRecord)
    if (record === null) throw broken('not_canonical')
    const { envelope, hash, payload, salt } = record
    if (envelope['seq'] !== this.#records + 1) throw broken('place')
    if ((await sha256(encoder.encode('thenar journal v1 payload\n'), salt, payload)) !== envelope['payload']) throw broken('payload')
    const prev = unhex(String(envelope['prev']))
    if ((await sha256(encoder.encode('thenar journal v1 record\n'), prev, encoder.encode(canonical(envelope)))) !== hash) throw broken('envelope')
    if (envelope['prev'] !== this.#hash) throw broken('chain')
    const time = Number(envelope['time'])
    if (time < this.#time) throw broken('time')
    this.#records += 1
    this.#hash = hash
    this.#time = time
    return { seq: this.#records, timeMs: time, kind: String(envelope['kind']), hash, payload }
  }

  async #blob(line: Uint8Array, broken: (fault: Fault) => Broken): Promise<void> {
    const blob = parse(line, buildBlob)
    if (blob === null) throw broken('not_canonical')
    if ((await sha256(blob.content)) !== blob.name) throw broken('content')
    if (this.#lastBlob >= blob.name) throw broken('order')
    this.#lastBlob = blob.name
    this.#blobs += 1
  }

  #head(line: Uint8Array, broken: (fault: Fault) => Broken): void {
    const head = parse(line, buildHead)
    if (head === null) throw broken('not_canonical')
    if (head['records'] !== this.#records) throw broken('count_records')
    if (head['blobs'] !== this.#blobs) throw broken('count_blobs')
    if (head['hash'] !== this.#hash) throw broken('hash')
  }
}

/** Verifies a whole bundle. `onrecord` is told of each record that holds, in order. */
export async function verifyBundle(content: Uint8Array, onrecord: (proven: Proven) => void = () => {}): Promise<Report> {
  const lines = cut(content)
  const verifier = new Verifier()
  const [first] = lines
  if (first === undefined) throw new Broken({ what: 'header', name: '' }, 'missing')
  await verifier.header(first.bytes, first.ended)
  const end = lines.at(-1)
  const head = end?.ended ? parse(end.bytes, buildHead) : null
  const said = head && { records: Number(head['records']), blobs: Number(head['blobs']) }
  for (const [at, line] of lines.entries()) {
    if (at === 0) continue
    const proven = await verifier.line(line.bytes, line.ended, at === lines.length - 1, said)
    if (proven) onrecord(proven)
  }
  return verifier.report()
}

function cut(content: Uint8Array): { bytes: Uint8Array; ended: boolean }[] {
  const lines: { bytes: Uint8Array; ended: boolean }[] = []
  let from = 0
  while (from < content.length) {
    const end = content.indexOf(10, from)
    if (end < 0) {
      lines.push({ bytes: content.subarray(from), ended: false })
      break
    }
    lines.push({ bytes: content.subarray(from, end), ended: true })
    from = end + 1
  }
  return lines
}

// The page's verification against a bundle made here by the written rules, and against a real one that Thenar exported.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Broken, verifyBundle } from '../../src/view/verify'

const sha256 = (...parts: (string | Uint8Array)[]) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')
const form = (bytes: Buffer) => (Buffer.from(bytes.toString('utf8')).equals(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') })

/** The sample of docs/verify_journal.py: text, binary and empty payloads, and two blobs. */
function sample(): Uint8Array {
  let prev = sha256('thenar journal v1 genesis\n', 'sample')
  const lines: unknown[] = [{ format: 'thenar-journal-bundle', genesis: prev, task: 'sample', v: 1 }]
  const payloads = [Buffer.from('one'), Buffer.from('\u{1f9ea} \u2028 \x01 \x7f " \\'), Buffer.from([255, 0]), Buffer.alloc(0)]
  for (const [at, payload] of payloads.entries()) {
    const salt = Buffer.alloc(16, at + 1)
    const envelope = { kind: 'tick', payload: sha256('thenar journal v1 payload\n', salt, payload), prev, seq: at + 1, time: 1_700_000_000_000, v: 1 }
    prev = sha256('thenar journal v1 record\n', Buffer.from(prev, 'hex'), JSON.stringify(envelope))
    lines.push({ envelope, hash: prev, payload: form(payload), salt: salt.toString('hex') })
  }
  const blobs = [Buffer.from('text'), Buffer.from([254])].map((content) => ({ blob: sha256(content), content: form(content) }))
  lines.push(...blobs.sort((a, b) => (a.blob < b.blob ? -1 : 1)), { head: { blobs: 2, hash: prev, records: 4 } })
  return new Uint8Array(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')))
}

const passes = (content: Uint8Array) => verifyBundle(content).then(() => true, (error: unknown) => !(error instanceof Broken))

it('a whole bundle passes, and every record is told', async () => {
  const kinds: string[] = []
  expect(await verifyBundle(sample(), (record) => kinds.push(`${record.seq} ${record.kind} ${record.payload.length}`))).toMatchObject({ task: 'sample', records: 4, blobs: 2 })
  expect(kinds).toEqual(['1 tick 3', '2 tick 16', '3 tick 2', '4 tick 0'])
})

it('no cut of it passes', async () => {
  const whole = sample()
  const verdicts = await Promise.all(Array.from(whole, (_, length) => passes(whole.subarray(0, length))))
  expect(verdicts.filter(Boolean)).toEqual([])
})

// Every byte, by two of its bits: docs/verify_journal.py, whose rules these are, tries all eight of its own.
it('no flipped bit of it passes', { timeout: 60_000 }, async () => {
  const whole = sample()
  for (let at = 0; at < whole.length; at++) {
    const verdicts = await Promise.all(
      [at % 8, 5].map((bit) => {
        const altered = whole.slice()
        altered[at] = (altered[at] ?? 0) ^ (1 << bit)
        return passes(altered)
      })
    )
    expect([at, verdicts.includes(true)]).toEqual([at, false])
  }
})

it('a bundle that Thenar exported passes, and names the record that was altered', async () => {
  const bundle = new Uint8Array(readFileSync(new URL('../journals/small.bundle', import.meta.url)))
  const report = await verifyBundle(bundle)
  expect(report.records).toBeGreaterThan(5)
  const text = Buffer.from(bundle).toString()
  const altered = Buffer.from(text.replace('Hello from the computer', 'Hullo from the computer'))
  await expect(verifyBundle(new Uint8Array(altered))).rejects.toMatchObject({ place: { what: 'record' }, fault: 'payload' })
})

// The stream's frames, whatever pieces they arrive in.

import { expect, it } from 'vitest'
import { Frames } from '../../src/api/stream'

const text = 'id: 1\nevent: resumed\ndata: {"a":1}\n\n: still here\n\nid: 2\r\ndata: one\r\ndata: two\r\n\r\nevent: words\ndata: {"text":"é"}\n\n'
const frames = [
  { id: '1', kind: 'resumed', data: '{"a":1}' },
  { id: '2', kind: 'message', data: 'one\ntwo' },
  { id: '', kind: 'words', data: '{"text":"é"}' }
]

it('frames are the same in one piece and in any two', () => {
  expect(new Frames().push(text)).toEqual(frames)
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new Frames()
    expect([...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))]).toEqual(frames)
  }
})

it('half a frame is none yet', () => {
  const reader = new Frames()
  expect(reader.push('id: 3\ndata: x\n')).toEqual([])
  expect(reader.push('\n')).toEqual([{ id: '3', kind: 'message', data: 'x' }])
})

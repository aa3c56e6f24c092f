// What a person types or pastes on its way to the task's computer: all of it, in order, in requests that the server takes.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Hand, type Act } from '../../src/api/browser'
import { api, type Refusal } from '../../src/api/client'
import { pieces } from '../../src/api/pieces'
import { Keyboard } from '../../src/api/terminal'

let problems: Refusal[]
beforeEach(() => void (problems = []))
afterEach(() => void vi.restoreAllMocks())

const failed = (problem: Refusal) => void problems.push(problem)

it.each([
  ['', 4, []],
  ['abcd', 4, ['abcd']],
  ['abcdefghi', 4, ['abcd', 'efgh', 'i']],
  ['abc😀😀', 4, ['abc', '😀😀']],
  ['😀😀', 3, ['😀', '😀']]
])('%s in pieces of %i', (text, max, wanted) => expect([...pieces(text, max)]).toEqual(wanted))

const long = 'a' + 'ab😀'.repeat(20_000) + 'a'.repeat(19_999) + '😀'

const isWhole = (text: string) => !/[\uD800-\uDBFF]$/.test(text)

it('a long paste comes whole into the page, between what was done before and after', async () => {
  const sent: Act[][] = []
  vi.spyOn(api, 'browserInput').mockImplementation((_id, acts) => Promise.resolve(void sent.push(acts)))
  const hand = new Hand('t', failed)
  hand.act({ act: 'key', key: 'a' })
  hand.act({ act: 'text', text: long })
  hand.act({ act: 'key', key: 'Enter' })
  await hand.done
  const texts = sent.flat().flatMap((act) => (act.act === 'text' ? [act.text] : []))
  expect([texts.join('') === long, texts.every((text) => text.length <= 20_000 && isWhole(text))]).toEqual([true, true])
  expect([sent.flat()[0], sent.flat().at(-1)]).toEqual([{ act: 'key', key: 'a' }, { act: 'key', key: 'Enter' }])
  // Of two megabytes, which a request may have, text takes six bytes a letter at the most.
  expect(Math.max(...sent.map((acts) => acts.reduce((sum, act) => sum + (act.act === 'text' ? act.text.length : 0), 0)))).toBeLessThanOrEqual(20_000)
})

it('a hand that failed for whatever reason can go on', async () => {
  const input = vi.spyOn(api, 'browserInput').mockRejectedValueOnce(new TypeError('not a refusal')).mockResolvedValue(undefined)
  const hand = new Hand('t', failed)
  hand.act({ act: 'key', key: 'a' })
  await expect(hand.done).rejects.toThrow('not a refusal')
  hand.act({ act: 'key', key: 'b' })
  await hand.done
  expect(input.mock.calls.map(([, acts]) => acts)).toEqual([[{ act: 'key', key: 'a' }], [{ act: 'key', key: 'b' }]])
})

it('a long paste comes whole into a terminal', async () => {
  const sent: string[] = []
  vi.spyOn(api, 'terminalKeys').mockImplementation((_id, _name, text) => Promise.resolve(void sent.push(text)))
  new Keyboard('t', 'main', failed).type(long)
  await vi.waitFor(() => expect(sent.join('').length).toBe(long.length))
  expect([sent.join('') === long, sent.every((text) => text.length <= 16_384 && isWhole(text)), problems]).toEqual([true, true, []])
})

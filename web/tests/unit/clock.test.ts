import { expect, it } from 'vitest'
import { clock } from '../../src/api/clock'

const answer = (aheadMs: number) => new Response('', { headers: { date: new Date(Date.now() + aheadMs).toUTCString() } })

it('knows a server whose clock shows another time, and takes the time of an answer for none', () => {
  clock.hear(answer(3_600_000))
  expect(clock.aheadMs).toBeGreaterThan(3_598_000)
  expect(clock.aheadMs).toBeLessThan(3_602_000)
  clock.hear(new Response(''))
  expect(clock.aheadMs).toBeGreaterThan(3_598_000)
  clock.hear(answer(-1_000))
  expect(clock.aheadMs).toBe(0)
  clock.hear(answer(-60_000))
  expect(clock.aheadMs).toBeLessThan(-57_000)
})

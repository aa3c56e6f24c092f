// The time, for "3 minutes ago" and for clocks that run. One timer for the whole page.

import { clock } from '../api/clock'

let now = $state(Date.now())
setInterval(() => (now = Date.now()), 1000)

export const time = {
  get now(): number {
    return now
  },
  /** What the server's clock shows, which the times of events are of. */
  get server(): number {
    return now + clock.aheadMs
  }
}

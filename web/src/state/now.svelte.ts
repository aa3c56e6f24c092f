// The time, for "3 minutes ago" and for clocks that run. One timer for the whole page.

let now = $state(Date.now())
setInterval(() => (now = Date.now()), 1000)

export const time = {
  get now(): number {
    return now
  }
}

// How far the server's clock is ahead of this machine's, by the dates of its answers. They are of whole seconds, and an answer takes its
// time: a small difference is none.

const NONE_MS = 2_000

export const clock = {
  aheadMs: 0,
  hear(response: Response): void {
    const date = Date.parse(response.headers.get('date') ?? '')
    if (Number.isNaN(date)) return
    const ahead = date + 500 - Date.now()
    this.aheadMs = Math.abs(ahead) < NONE_MS ? 0 : ahead
  }
}

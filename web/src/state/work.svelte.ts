// What a person asked for and waits for: whether it is under way, and why the last of it failed.

export class Work {
  busy = $state(false)
  error = $state.raw<unknown>(null)

  /** Does it; whether it was done. */
  async do(what: () => Promise<unknown>): Promise<boolean> {
    this.busy = true
    this.error = null
    try {
      await what()
      return true
    } catch (problem) {
      this.error = problem
      return false
    } finally {
      this.busy = false
    }
  }
}

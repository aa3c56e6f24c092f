// In whose hands a part of the computer is that a person has taken over: this window's, or another one's.

import { api } from '../api/client'

/** How often it is asked while another window has it: a server that restarts forgets whose it was, and says so to nobody. */
const AGAIN_MS = 5_000

export class Whose {
  /** Another window has it. */
  elsewhere = $state(false)

  constructor(id: () => string, taken: () => boolean) {
    $effect(() => {
      if (!taken()) {
        this.elsewhere = false
        return undefined
      }
      const task = id()
      let over = false
      let timer: ReturnType<typeof setTimeout> | undefined
      const ask = async () => {
        clearTimeout(timer)
        // What cannot be asked stays as it is: who acts is told in any case.
        const answer = await api.whose(task).catch(() => null)
        if (over) return
        if (answer) this.elsewhere = answer.hand === 'others'
        if (this.elsewhere || !answer) timer = setTimeout(() => void ask(), AGAIN_MS)
      }
      const looked = () => void ask()
      void ask()
      window.addEventListener('focus', looked)
      return () => {
        over = true
        clearTimeout(timer)
        window.removeEventListener('focus', looked)
      }
    })
  }
}

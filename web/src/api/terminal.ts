// A terminal as it is drawn on the server: the whole screen first, then what its programs put out. When the line breaks it is
// asked for anew, and drawn anew. Keys go the other way one request at a time, in order, and none twice.

import { api, Refusal } from './client'
import { pieces } from './pieces'
import { randomName } from './random'
import { watch } from './stream'

export interface TerminalWatcher {
  screen(columns: number, lines: number, drawing: string): void
  output(text: string): void
  /** Its shell is gone. */
  end(): void
  line(state: 'live' | 'lost'): void
}

/** The server says something every 15 s. */
const SILENCE_MAX_MS = 40_000

/** Watches until it is told to stop; gives what stops it. */
export function watchTerminal(task: string, name: string, watcher: TerminalWatcher): () => void {
  return watch(api.terminalUrl(task, name), SILENCE_MAX_MS, {
    frame({ kind, data }) {
      if (kind === 'screen') {
        const { columns, lines, drawing } = JSON.parse(data) as { columns: number; lines: number; drawing: string }
        watcher.screen(columns, lines, drawing)
      } else if (kind === 'output') watcher.output((JSON.parse(data) as { text: string }).text)
      else if (kind === 'end') watcher.end()
      return kind === 'end'
    },
    line: (state) => watcher.line(state),
    refused: ({ status }) => status === 404 && watcher.end()
  })
}

/** Characters sent at one time. */
const KEYS_MAX = 16_384
const TRIES_MAX = 5
const RETRY_MS = 1_000

/** The person's keys on their way into a terminal. */
export class Keyboard {
  #waiting = ''
  #sending = false

  constructor(
    readonly task: string,
    readonly name: string,
    readonly onfailure: (problem: Refusal) => void
  ) {}

  type(text: string): void {
    this.#waiting += text
    if (!this.#sending) void this.#send()
  }

  async #send(): Promise<void> {
    this.#sending = true
    while (this.#waiting !== '') {
      const [text = ''] = pieces(this.#waiting, KEYS_MAX)
      this.#waiting = this.#waiting.slice(text.length)
      try {
        await this.#sendOnce(text)
      } catch (problem) {
        this.#waiting = ''
        if (problem instanceof Refusal) this.onfailure(problem)
        else throw problem
      } finally {
        this.#sending = this.#waiting !== ''
      }
    }
  }

  /** A lost answer is asked for again under the same name: the keys are typed once. */
  async #sendOnce(text: string): Promise<void> {
    const id = randomName()
    for (let tries = 1; ; tries++) {
      try {
        await api.terminalKeys(this.task, this.name, text, id)
        return
      } catch (problem) {
        if (!(problem instanceof Refusal) || problem.status !== 0 || tries === TRIES_MAX) throw problem
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }
}

// The models that can be chosen, asked for once and again when the settings changed them.

import { api, Refusal, type Model } from '../api/client'

let list = $state.raw<Model[]>([])
let loaded = $state(false)
let problem = $state.raw<Refusal | null>(null)

export const models = {
  get list(): Model[] {
    return list
  },
  /** Those that can do a task that a person writes. */
  get able(): Model[] {
    return list.filter((model) => model.name !== DEMO)
  },
  get loaded(): boolean {
    return loaded
  },
  get problem(): Refusal | null {
    return problem
  },
  async load(again = false): Promise<void> {
    if (loaded && !again) return
    try {
      list = (await api.models()).models
      loaded = true
      problem = null
    } catch (error) {
      if (error instanceof Refusal) problem = error
      else throw error
    }
  }
}

export const isScript = (name: string) => name.startsWith('script:')

/** The script of the demo, which plays its own task and can do no other. */
export const DEMO = 'script:demo'

/** A model's name without who serves it. */
export const shortName = (name: string) => name.slice(name.indexOf(':') + 1)

// What the person chose for this browser: look, panes, what a new task begins with, what was read. Kept in the browser alone.

import { keep, kept, keptTable } from './kept'

export type Theme = 'system' | 'light' | 'dark'

let theme = $state<Theme>((kept('theme') as Theme | null) ?? 'system')
let sidebar = $state(kept('sidebar') !== 'closed')
let split = $state(Math.min(70, Math.max(30, Number(kept('split')) || 50)))
let notify = $state(kept('notify') === 'yes')
let seen = $state.raw<Record<string, number>>(keptTable('seen') as Record<string, number>)

export interface BudgetText {
  cost: string
  time: string
  steps: string
}
let model = $state(kept('model') ?? '')
let budget = $state.raw<BudgetText>({ cost: '', time: '', steps: '', ...(keptTable('budget') as Partial<BudgetText>) })

/** Tasks whose last reading is remembered. */
const SEEN_MAX = 500

function show(): void {
  const root = document.documentElement
  if (theme === 'system') root.removeAttribute('data-theme')
  else root.dataset['theme'] = theme
}
show()

export const prefs = {
  get theme(): Theme {
    return theme
  },
  set theme(value: Theme) {
    theme = value
    keep('theme', value)
    show()
  },
  get sidebar(): boolean {
    return sidebar
  },
  set sidebar(open: boolean) {
    sidebar = open
    keep('sidebar', open ? 'open' : 'closed')
  },
  /** The conversation's share of the width beside the computer, in percent. */
  get split(): number {
    return split
  },
  set split(percent: number) {
    split = Math.min(70, Math.max(30, percent))
    keep('split', String(split))
  },
  get notify(): boolean {
    return notify
  },
  set notify(on: boolean) {
    notify = on
    keep('notify', on ? 'yes' : 'no')
  },
  /** The model of a new task; empty is the server's own choice. */
  get model(): string {
    return model
  },
  set model(name: string) {
    model = name
    keep('model', name)
  },
  get budget(): BudgetText {
    return budget
  },
  set budget(value: BudgetText) {
    budget = value
    keep('budget', JSON.stringify(value))
  },
  /** Whether something came since the person last looked at the task. */
  isUnread(id: string, updatedMs: number): boolean {
    const at = seen[id]
    return at !== undefined && updatedMs > at
  },
  saw(id: string, updatedMs: number): void {
    if ((seen[id] ?? 0) >= updatedMs) return
    const entries = Object.entries({ ...seen, [id]: updatedMs }).sort((a, b) => b[1] - a[1])
    seen = Object.fromEntries(entries.slice(0, SEEN_MAX))
    keep('seen', JSON.stringify(seen))
  }
}

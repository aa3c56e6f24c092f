// The terminals that last, as far as the record tells: their names stand in the calls that typed into them.

import type { Step, TaskView } from './view'

/** The terminal that a step worked in, if it was one of these. */
export function terminalOfStep(view: TaskView, step: Step | null): string | null {
  if (!step) return null
  const named = step.arguments['terminal']
  if (typeof named === 'string' && named !== '') return named
  const id = step.arguments['id']
  return typeof id === 'string' && terminalsOf(view).includes(id) ? id : null
}

/** Their names, in the order in which they were opened. */
export function terminalsOf(view: TaskView): string[] {
  const names = new Set<string>()
  for (const entry of view.entries) {
    const name = entry.kind === 'step' && entry.tool === 'shell_exec' ? entry.arguments['terminal'] : null
    if (typeof name === 'string' && name !== '') names.add(name)
  }
  return [...names]
}

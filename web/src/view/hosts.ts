// Hosts as a person writes them in one field, and those of a task that they said yes to when they were asked.

import type { TaskView } from './view'

export function hostsOf(text: string): string[] {
  return [...new Set(text.split(/[\s,，、;]+/).filter(Boolean))]
}

/** The places that the person said yes to and that the task's list does not name in so many words. */
export function saidYes(view: TaskView): string[] {
  const last = new Map<string, boolean>()
  for (const { host, port, allowed } of view.hosts.values()) {
    const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
    if (allowed !== null) last.set(place, allowed)
  }
  const named = new Set((view.options.allow_net ?? []).map((text) => text.split('=')[0]))
  const web = /:(80|443)$/
  return [...last].flatMap(([place, allowed]) => (allowed && !named.has(place) && !(web.test(place) && named.has(place.replace(web, ''))) ? [place] : []))
}

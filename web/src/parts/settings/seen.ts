// What the doctor saw, in the person's language; what this page does not know is shown in the server's words.

import type { Finding } from '../../api/client'
import { language, t, tMaybe, type Key } from '../../i18n/index.svelte'

type Seen = NonNullable<Finding['seen']>
type Limits = Extract<Seen, { code: 'limits' }>
type Left = Extract<Seen, { code: 'left' }>

/** What a finding is of. */
export const nameOf = (finding: Finding): string => tMaybe(`doctor.name.${finding.name}`, finding.name)

export function seenIn(finding: Finding): string {
  const { seen } = finding
  if (!seen) return finding.finding
  switch (seen.code) {
    case 'locked':
      return known(`doctor.locked.${seen.lock}`) ?? finding.finding
    case 'unlocked':
      return known(`doctor.unlocked.${seen.lock}`, { seen: seen.seen }) ?? finding.finding
    case 'limits':
      return limits(seen)
    case 'left':
      return left(seen)
    default: {
      const { code, ...values } = seen
      return known(`doctor.seen.${code}`, values) ?? finding.finding
    }
  }
}

function known(key: Key, values: Record<string, string | number> = {}): string | null {
  const written = ([name, value]: [string, string | number]) => [name, typeof value === 'number' ? value.toLocaleString(language.locale) : value]
  const text = t(key, Object.fromEntries(Object.entries(values).map(written)) as Record<string, string>)
  return text === key ? null : text
}

function limits({ memory, processes, processor, memory_unmet, processes_unmet, undivided, no_groups, reason }: Limits): string {
  const parts = [t(`doctor.limits.memory.${memory}`), t(`doctor.limits.processes.${processes}`), t(`doctor.limits.processor.${processor}`)]
  if (memory_unmet) parts.push(t('doctor.limits.memoryUnmet'))
  if (processes_unmet) parts.push(t('doctor.limits.processesUnmet'))
  if (undivided) parts.push(t('doctor.limits.undivided'))
  if (no_groups !== 'there') parts.push(no_groups === 'other' ? reason : t(`doctor.groups.${no_groups}`))
  return parts.join(t('why.also'))
}

function left(seen: Left): string {
  const { code, ...counts } = seen
  const some = (Object.entries(counts) as [keyof typeof counts, number][]).filter(([, count]) => count > 0)
  return t(`doctor.seen.${code}`, { what: some.map(([what, count]) => t(`doctor.left.${what}`, { count })).join(t('why.comma')) })
}

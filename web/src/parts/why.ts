// Why policy decided as it did, in the person's language. What an operator wrote stays in their words; a journal or a code
// that this page does not know falls back to what the server says.

import type { Decision, Refusal, Why } from '../api/events'
import { t, type Key } from '../i18n/index.svelte'
import { dollars } from '../view/words'

/** These say who answered, or who has to act; what comes after them is what about. */
const FIRST: ReadonlySet<Why['code']> = new Set(['person_allowed', 'answered_by_yes', 'only_the_person'] as const)

/** One part; null where the page does not know it. */
function part(why: Why): string | null {
  switch (why.code) {
    case 'rule':
      return known(`why.rule.${why.rule}`)
    case 'own_rule':
      return why.reason ?? t('why.own_rule', { rule: why.rule })
    case 'over_budget':
      return t('why.over_budget', { reserved: dollars(why.reserved / 1e6), left: dollars(why.left / 1e6) })
    case 'rule_failed':
      return t('why.rule_failed', { rules: why.rules.join(t('why.comma')) })
    default: {
      const { code, ...values } = why
      return known(`why.${code}`, values)
    }
  }
}

function known(key: Key, values: Record<string, string | number> = {}): string | null {
  const text = t(key, values)
  return text === key ? null : text
}

/** Why it was decided so; the server's own words where a part of it is not known here. */
export function whyDecided(decision: Pick<Decision, 'why' | 'reason'> | null | undefined): string {
  const why = decision?.why ?? []
  const parts = why.map(part)
  if (why.length === 0 || parts.includes(null)) return decision?.reason ?? ''
  const said = why.map((one, at) => ({ first: FIRST.has(one.code), text: parts[at] ?? '' }))
  const first = said.filter((one) => one.first).map((one) => one.text)
  const rest = [...new Set(said.filter((one) => !one.first).map((one) => one.text))].join(t('why.also'))
  return [...first, ...(rest ? [rest] : [])].join(t('why.colon'))
}

/** A rule of the network's own, in few words; null for ids of a policy's rules. */
export function networkRule(rule: Refusal['rule']): string | null {
  return rule.startsWith('egress.') ? known(`network.rule.${rule as NetworkRule}`) : null
}

type NetworkRule = Extract<Key, `network.rule.egress.${string}`> extends `network.rule.${infer Rule}` ? Rule : never

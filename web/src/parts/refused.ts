// What the server refused, in the person's language: by the reason's code, else by the kind of problem with the server's own
// words beside it.

import { Refusal } from '../api/client'
import { language, t, type Key } from '../i18n/index.svelte'

export interface Told {
  title: string
  hint: string
}

export function told(error: unknown): Told {
  if (!(error instanceof Refusal)) return { title: t('problem.other'), hint: String(error) }
  if (error.status === 0) return { title: t('problem.unreachable'), hint: t('problem.unreachableHint') }
  if (error.because) {
    const { code, ...values } = error.because
    const text = known(`problem.because.${code}`, values)
    if (text !== null) return { title: text, hint: '' }
  }
  // What is not coded is in English: whoever reads that reads it whole.
  const kind = language.code === 'en' || !error.type ? null : known(`problem.kind.${error.type}`)
  return kind === null ? { title: error.detail || t('problem.other'), hint: error.hint } : { title: kind, hint: error.detail }
}

function known(key: Key, values: Record<string, string | number> = {}): string | null {
  const text = t(key, values)
  return text === key ? null : text
}

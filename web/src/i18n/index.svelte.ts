// What the app says, in the person's language: by their choice, else by their browser's. A text that is missing in a language
// fails a test; it never falls back silently.

import { keep, kept } from '../state/kept'
import en from './en.json'

export type Key = keyof typeof en
export type Language = 'en' | 'zh'
type Values = Record<string, string | number>

export const LANGUAGES: { code: Language; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'zh', name: '简体中文' }
]

const texts: Partial<Record<Language, Record<string, string>>> = { en }
let current = $state<Language>('en')

export const language = {
  get code(): Language {
    return current
  },
  get locale(): string {
    return current === 'zh' ? 'zh-CN' : navigator.language.startsWith('en') ? navigator.language : 'en'
  },
  async set(code: Language): Promise<void> {
    texts[code] ??= (await import('./zh.json')).default
    keep('language', code)
    use(code)
  }
}

function use(code: Language): void {
  current = code
  document.documentElement.lang = code === 'zh' ? 'zh-Hans' : 'en'
}

/** Chooses the language before anything is drawn. */
export async function startLanguage(): Promise<void> {
  const wanted = kept('language') ?? (navigator.languages.find((tag) => /^(en|zh)/.test(tag)) ?? 'en').slice(0, 2)
  if (wanted === 'zh') texts.zh ??= (await import('./zh.json')).default
  use(wanted === 'zh' ? 'zh' : 'en')
}

/** A text. With `count`, the form for that number: KEY.one, KEY.other. */
export function t(key: Key | Plural, values: Values = {}): string {
  const table: Record<string, string> = texts[current] ?? en
  let name: string = key
  if (!(name in table) && typeof values['count'] === 'number') {
    name = `${key}.${new Intl.PluralRules(language.locale).select(values['count'])}`
    if (!(name in table)) name = `${key}.other`
  }
  const text = table[name] ?? name
  return text.replace(/\{(\w+)\}/g, (whole, value: string) => String(values[value] ?? whole))
}

type Plural = Key extends infer K ? (K extends `${infer Base}.other` ? Base : never) : never

/** A text whose key was put together: unknown ones give the fallback. */
export function tMaybe(key: string, fallback: string): string {
  return (texts[current] ?? en)[key as Key] ?? fallback
}

// What the parser of a delivered file found, in the person's language. It stands on the record as a line of few forms, of whatever
// version wrote it: known by its forms here, and told as it stands there where one of its parts is not.

import { t, type Key } from '../i18n/index.svelte'

/** Kinds that have a name in each language; others are called the same everywhere. */
const KINDS: Record<string, Key> = {
  text: 'finding.text',
  source: 'finding.source',
  shell: 'finding.shell',
  document: 'finding.document',
  spreadsheet: 'finding.spreadsheet',
  presentation: 'finding.presentation',
  calendar: 'finding.calendar',
  subtitles: 'finding.subtitles',
  'Jupyter notebook': 'finding.notebook',
  unfinished: 'finding.unfinished'
}
const NAMED = /^(JSON Lines|[A-Z][A-Za-z+]*)$/

/** Parts that hold no number. */
const PLAIN: Record<string, Key> = {
  'one value': 'finding.oneValue',
  'not checked': 'finding.notChecked',
  'read as text: its syntax was not checked': 'finding.asText',
  'a code block is not closed': 'finding.openBlock',
  'without text that can be searched': 'finding.noText'
}

const COUNTED = ['word', 'picture', 'page', 'line', 'heading', 'link', 'cell', 'value', 'shape', 'frame', 'file', 'sheet', 'chart', 'paragraph', 'slide'] as const

type Counted = (typeof COUNTED)[number]

const NUMBER = '([\\d,]+)'
/** Parts with numbers in them, the first of which says whether there is one or more. */
const FORMS: [RegExp, string][] = [
  [new RegExp(`^${NUMBER} filled cells?$`), 'finding.filled'],
  [new RegExp(`^${NUMBER} filled cells? or more$`), 'finding.filledMore'],
  [new RegExp(`^${NUMBER} cells? ended in an error$`), 'finding.cellsFailed'],
  [new RegExp(`^${NUMBER} of code$`), 'finding.code'],
  [new RegExp(`^an object with ${NUMBER} keys?$`), 'finding.object'],
  [new RegExp(`^a list of ${NUMBER}$`), 'finding.list'],
  [new RegExp(`^${NUMBER} bytes unpacked$`), 'finding.unpacked'],
  [new RegExp(`^${NUMBER} rows? of ${NUMBER} columns? under the header$`), 'finding.rows'],
  [new RegExp(`^${NUMBER} x ${NUMBER} pixels$`), 'finding.pixels']
]

export function findingOf(text: string): string {
  const [kind = '', ...parts] = text.split(', ')
  const named = KINDS[kind]
  const told = [named ? t(named) : NAMED.test(kind) ? kind : null, ...parts.map(part)]
  return told.includes(null) ? text : told.join(t('finding.and'))
}

/** Null where this page does not know it. */
function part(text: string): string | null {
  const plain = PLAIN[text]
  if (plain) return t(plain)
  const [, number, unit] = /^([\d,]+) (\w+)$/.exec(text) ?? []
  const counted = COUNTED.find((known) => unit === known || unit === `${known}s`)
  if (number && counted) return say(`finding.${counted}`, number)
  for (const [form, key] of FORMS) {
    const found = form.exec(text)
    if (found?.[1]) return say(key, found[1], found[2])
  }
  return null
}

const say = (key: string, number: string, other = ''): string => t(key as `finding.${Counted}`, { count: Number(number.replaceAll(',', '')), number, other })

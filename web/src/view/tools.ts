// What a tool call is about, for one line on screen: which icon, where it is seen, and its subject. Words are in the
// language files; a tool that is not listed (a newer server's, another program's) is shown by its own name.

import type { Tab } from './view'

export type ToolIcon =
  'terminal' | 'keyboard' | 'eye' | 'clock' | 'file' | 'pencil' | 'search' | 'globe' | 'list' | 'message' | 'question' | 'package' | 'flag' | 'network' | 'tool'

interface Shown {
  icon: ToolIcon
  tab: Tab | null
  /** The argument that says what it is about. */
  subject: string
}

const TOOLS: Record<string, Shown> = {
  shell_exec: { icon: 'terminal', tab: 'terminal', subject: 'command' },
  shell_view: { icon: 'eye', tab: 'terminal', subject: 'id' },
  shell_wait: { icon: 'clock', tab: 'terminal', subject: 'id' },
  shell_write_to_process: { icon: 'keyboard', tab: 'terminal', subject: 'input' },
  shell_kill_process: { icon: 'terminal', tab: 'terminal', subject: 'id' },
  file_read: { icon: 'file', tab: 'files', subject: 'path' },
  file_write: { icon: 'pencil', tab: 'files', subject: 'path' },
  file_str_replace: { icon: 'pencil', tab: 'files', subject: 'path' },
  file_find_in_content: { icon: 'search', tab: 'files', subject: 'regex' },
  file_find_by_name: { icon: 'search', tab: 'files', subject: 'glob' },
  plan_update: { icon: 'list', tab: null, subject: '' },
  message_notify_user: { icon: 'message', tab: null, subject: 'text' },
  message_ask_user: { icon: 'question', tab: null, subject: 'text' },
  deliver: { icon: 'package', tab: null, subject: 'files' },
  hand_over: { icon: 'package', tab: null, subject: '' },
  idle: { icon: 'flag', tab: null, subject: '' },
  web_fetch: { icon: 'globe', tab: 'network', subject: 'url' },
  info_search_web: { icon: 'search', tab: 'network', subject: 'query' }
}

const BROWSER_SUBJECTS: Record<string, string> = {
  browser_navigate: 'url',
  browser_restart: 'url',
  browser_input: 'text',
  browser_press_key: 'key',
  browser_console_exec: 'javascript',
  browser_select_option: 'option'
}

export function shownAs(tool: string): Shown {
  const known = TOOLS[tool]
  if (known) return known
  if (tool.startsWith('browser_')) return { icon: 'globe', tab: 'browser', subject: BROWSER_SUBJECTS[tool] ?? 'element' }
  return { icon: 'tool', tab: null, subject: '' }
}

/** Characters of a subject: the line is cut by the screen, this only bounds the work. */
const SUBJECT_CHARS_MAX = 300

/** The first line of what the call is about. */
export function subjectOf(tool: string, args: Record<string, unknown>): string {
  const name = shownAs(tool).subject
  const value = args[name] ?? args['command'] ?? args['path'] ?? args['url'] ?? args['id'] ?? args['text']
  if (name === 'files' && Array.isArray(value)) {
    const paths = value.map((file) => (typeof file === 'object' && file !== null && 'path' in file ? String(file.path) : ''))
    return paths.filter(Boolean).join(', ').slice(0, SUBJECT_CHARS_MAX)
  }
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return (text.trim().split('\n', 1)[0] ?? '').slice(0, SUBJECT_CHARS_MAX)
}

/** Tools whose result is shown as something else than a step: the plan, a message, a question, a delivery. */
const SHOWN_ELSEWHERE = new Set(['plan', 'notice', 'question', 'idle', 'delivered'])

export function isShownElsewhere(facts: { fact: string }[]): boolean {
  return facts.some((fact) => SHOWN_ELSEWHERE.has(fact.fact))
}

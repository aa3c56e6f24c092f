// The terminal of a moment, as text with control characters: what was typed, what came back. It is what the record holds of
// each command, which for a long output is its beginning and end.

import type { Step, TaskView } from './view'

/** Commands of one screen; those before are a scroll through time away. */
export const COMMANDS_MAX = 40

const DIM = '\x1b[2m'
const BOLD = '\x1b[1m'
const GREEN = '\x1b[32m'
const RED = '\x1b[31m'
const PLAIN = '\x1b[0m'

export interface Piece {
  /** Changes when the piece does, so that a screen knows what it has drawn. */
  key: string
  text: string
}

/** The commands up to a step (or the last one), newest last. */
export function terminalOf(view: TaskView, until: Step | null): Piece[] {
  const steps: Step[] = []
  for (let at = view.entries.length - 1; at >= 0 && steps.length < COMMANDS_MAX; at--) {
    const entry = view.entries[at]
    if (entry?.kind !== 'step' || entry.tab !== 'terminal') continue
    if (until && entry.effect > until.effect) continue
    steps.push(entry)
  }
  return steps.reverse().map(piece)
}

function piece(step: Step): Piece {
  const key = `${step.effect}.${step.status}.${step.endSeq ?? 0}`
  return { key, text: `${prompt(step)}\r\n${output(step)}` }
}

function prompt(step: Step): string {
  const argument = (name: string) => safe(String(step.arguments[name] ?? ''))
  switch (step.tool) {
    case 'shell_exec': {
      const folder = argument('exec_dir') || '/workspace'
      // A terminal that lasts has a folder of its own, which the call does not tell.
      const place = argument('terminal') || folder.replace(/^\/workspace/, '~')
      return `${GREEN}${BOLD}${place}${PLAIN} ${DIM}$${PLAIN} ${argument('command').replaceAll('\n', `\r\n${DIM}>${PLAIN} `)}`
    }
    case 'shell_write_to_process':
      return `${DIM}[${argument('id')}] <${PLAIN} ${argument('input').replaceAll('\n', '\r\n')}`
    default:
      return `${DIM}[${argument('id')}] ${step.tool.replace('shell_', '')}${PLAIN}`
  }
}

function output(step: Step): string {
  if (step.status === 'asked' || step.status === 'running') return ''
  const command = step.facts.find((fact) => fact.fact === 'command')
  // The first line says how it ended; the rest is what was put out.
  const cut = step.text.indexOf('\n')
  const [head, rest] = cut < 0 ? [step.text, ''] : [step.text.slice(0, cut), step.text.slice(cut + 1)]
  const body = command ? rest : step.text
  const lines = shown(body)
  if (!command || (command.exit_code === 0 && !command.running && !command.limit)) return lines
  const tone = command.running || command.exit_code === 0 ? DIM : RED
  return `${lines}${tone}${safe(head)}${PLAIN}\r\n`
}

function shown(text: string): string {
  if (text === '' || text === '(no output)') return ''
  const body = text.replaceAll(/\r?\n/g, '\r\n')
  // Of what a program prints, colours are let through and nothing else that could move the screen about.
  const safeBody = body.replaceAll(/\x1b(?!\[[0-9;:]*m)/g, '␛')
  return safeBody.endsWith('\r\n') ? safeBody + PLAIN : `${safeBody}${PLAIN}\r\n`
}

/** A text of one of our own lines: nothing in it acts. */
function safe(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0b-\x1f\x7f]/g, '·')
}

// CodeMirror, to read and not to write: line numbers, folding away what did not change, colours from the page's own.

import { syntaxHighlighting, HighlightStyle, StreamLanguage, type LanguageSupport } from '@codemirror/language'
import { unifiedMergeView } from '@codemirror/merge'
import { EditorState, type Extension } from '@codemirror/state'
import { EditorView, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { endingOf } from './kinds'

/** Characters that are shown: of a larger text the beginning. */
const CHARS_MAX = 1_000_000

const LANGUAGES: Record<string, () => Promise<LanguageSupport | Extension>> = {
  py: async () => (await import('@codemirror/lang-python')).python(),
  js: async () => (await import('@codemirror/lang-javascript')).javascript({ jsx: true }),
  ts: async () => (await import('@codemirror/lang-javascript')).javascript({ typescript: true, jsx: true }),
  html: async () => (await import('@codemirror/lang-html')).html(),
  css: async () => (await import('@codemirror/lang-css')).css(),
  json: async () => (await import('@codemirror/lang-json')).json(),
  md: async () => (await import('@codemirror/lang-markdown')).markdown(),
  sh: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/shell')).shell),
  rs: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/rust')).rust),
  toml: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/toml')).toml),
  yaml: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/yaml')).yaml),
  sql: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/sql')).standardSQL),
  r: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/r')).r),
  go: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/go')).go),
  c: async () => StreamLanguage.define((await import('@codemirror/legacy-modes/mode/clike')).cpp)
}

const SAME_AS: Record<string, string> = { mjs: 'js', jsx: 'js', tsx: 'ts', htm: 'html', svg: 'html', xml: 'html', bash: 'sh', yml: 'yaml', h: 'c', cpp: 'c', java: 'c', ipynb: 'json', jsonl: 'json', markdown: 'md', svelte: 'html', vue: 'html' }

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.controlKeyword], color: 'light-dark(#7a3fa0, #cfa4ea)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'light-dark(#0b6a53, #7fd6b5)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'light-dark(#a3490b, #f0ab78)' },
  { tag: tags.comment, color: 'light-dark(#5f6b65, #8e9b94)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName), tags.heading], color: 'light-dark(#2a5fa8, #8fb8f0)' },
  { tag: [tags.typeName, tags.className, tags.tagName], color: 'light-dark(#0f6d7a, #7fd3dc)' },
  { tag: [tags.attributeName, tags.propertyName], color: 'light-dark(#8a5200, #e9b766)' },
  { tag: tags.link, textDecoration: 'underline' },
  { tag: tags.strong, fontWeight: 'bold' },
  { tag: tags.emphasis, fontStyle: 'italic' }
])

const look = EditorView.theme({
  '&': { height: '100%', backgroundColor: 'transparent', color: 'var(--ink)', fontSize: '0.78125rem' },
  '.cm-scroller': { fontFamily: 'var(--mono)', fontVariantLigatures: 'none', lineHeight: '1.6' },
  '.cm-content': { padding: '0.6rem 0' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--ink-3)', border: '0', paddingLeft: '0.4rem' },
  '&.cm-focused': { outline: 'none' },
  '&.cm-focused .cm-scroller': { boxShadow: 'inset 0 0 0 2px var(--accent)' },
  '.cm-changedLine': { backgroundColor: 'light-dark(#e3f3ea, #17362b) !important' },
  '.cm-changedText': { background: 'light-dark(#c9ead8, #1d4a3a) !important' },
  '.cm-deletedChunk': { backgroundColor: 'light-dark(#fbeae8, #3a1d1a) !important' },
  '.cm-deletedChunk .cm-deletedText': { background: 'light-dark(#f5cfca, #582621) !important' },
  '.cm-collapsedLines': { background: 'var(--sunken)', color: 'var(--ink-2)' }
})

export type Shown = EditorView

/** Makes ready what shows a text; what comes of it puts it into a place, or into what shows the version before: at the line that is read. */
export async function show(text: string, name: string, before: string | undefined): Promise<(root: ShadowRoot, shown: Shown | null) => Shown> {
  const ending = endingOf(name)
  const language = LANGUAGES[SAME_AS[ending] ?? ending]
  const extensions: Extension[] = [
    EditorState.readOnly.of(true),
    EditorView.contentAttributes.of({ 'aria-label': name, tabindex: '0' }),
    lineNumbers(),
    syntaxHighlighting(colours),
    look
  ]
  if (language) extensions.push(await language())
  else extensions.push(EditorView.lineWrapping)
  if (before !== undefined)
    extensions.push(unifiedMergeView({ original: before, mergeControls: false, gutter: true, collapseUnchanged: { margin: 3, minSize: 6 } }))
  const state = EditorState.create({ doc: text.slice(0, CHARS_MAX), extensions })
  return (root, shown) => {
    if (!shown) return new EditorView({ root, parent: root, state })
    const place = shown.scrollSnapshot()
    shown.setState(state)
    shown.dispatch({ effects: place })
    return shown
  }
}

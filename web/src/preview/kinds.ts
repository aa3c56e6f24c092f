// What kind of file a name promises, which decides how it is previewed. The content is never trusted to be that.

export type Kind = 'markdown' | 'text' | 'code' | 'html' | 'image' | 'pdf' | 'csv' | 'sheetfile' | 'other'

const KINDS: Record<Exclude<Kind, 'other'>, string[]> = {
  markdown: ['md', 'markdown'],
  text: ['txt', 'log', 'rst', 'srt', 'vtt'],
  code: ['py', 'js', 'mjs', 'ts', 'tsx', 'jsx', 'rs', 'go', 'c', 'h', 'cpp', 'java', 'rb', 'sh', 'bash', 'css', 'json', 'jsonl', 'yaml', 'yml', 'toml', 'xml', 'sql', 'ini', 'cfg', 'r', 'lua', 'svelte', 'vue', 'ipynb', 'diff', 'patch', 'dockerfile'],
  html: ['html', 'htm'],
  image: ['png', 'jpg', 'jpeg', 'gif', 'webp', 'avif', 'svg', 'bmp', 'ico'],
  pdf: ['pdf'],
  csv: ['csv', 'tsv'],
  sheetfile: ['xlsx']
}

const BY_ENDING = new Map(Object.entries(KINDS).flatMap(([kind, endings]) => endings.map((ending) => [ending, kind as Kind])))

export function endingOf(name: string): string {
  return (/\.([^./]+)$/.exec(name)?.[1] ?? '').toLowerCase()
}

export function kindOf(name: string): Kind {
  return BY_ENDING.get(endingOf(name)) ?? 'other'
}

const IMAGE_TYPES: Record<string, string> = { jpg: 'image/jpeg', svg: 'image/svg+xml', ico: 'image/x-icon' }

export function imageType(name: string): string {
  const ending = endingOf(name)
  return IMAGE_TYPES[ending] ?? `image/${ending}`
}

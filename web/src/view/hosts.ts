// Hosts as a person writes them in one field.

export function hostsOf(text: string): string[] {
  return [...new Set(text.split(/[\s,，、;]+/).filter(Boolean))]
}

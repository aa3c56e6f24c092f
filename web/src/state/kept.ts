// What the browser keeps for the app from one visit to the next. One that keeps nothing, or is full, only remembers nothing.

const KEY = 'thenar.'

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(KEY + name)
  } catch {
    return null
  }
}

/** A table that was kept; an empty one where there is none that can be read. */
export function keptTable(name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(kept(name) ?? '{}')
    return value instanceof Object && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(KEY + name, value)
  } catch {
    // As said.
  }
}

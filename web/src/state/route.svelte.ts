// Which screen is shown: the address, read and written. A link can be sent, reloaded and gone back to.

export type Route =
  | { screen: 'home' }
  | { screen: 'task'; id: string; at: number | null }
  | { screen: 'record'; id: string }
  | { screen: 'settings'; section: string }
  | { screen: 'shared'; key: string; at: number | null }
  | { screen: 'nowhere' }

function read(location: Location): Route {
  let parts: string[]
  try {
    parts = location.pathname.split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    // Cut off within a letter.
    return { screen: 'nowhere' }
  }
  const number = Number(new URLSearchParams(location.search).get('at'))
  const at = Number.isSafeInteger(number) && number > 0 ? number : null
  const [first, second, third] = parts
  if (first === undefined) return { screen: 'home' }
  if (first === 'tasks' && second && third === undefined) return { screen: 'task', id: second, at }
  if (first === 'tasks' && second && third === 'record') return { screen: 'record', id: second }
  if (first === 'settings') return { screen: 'settings', section: second ?? 'models' }
  if (first === 'shared' && second) return { screen: 'shared', key: second, at }
  return { screen: 'nowhere' }
}

let current = $state.raw<Route>(read(window.location))

export const route = {
  get now(): Route {
    return current
  },
  /** Goes to an address of the app. */
  go(path: string): void {
    history.pushState(null, '', path)
    current = read(window.location)
  },
  /** Writes the moment that is looked at into the address, without a step in the history. */
  moment(at: number | null): void {
    const url = new URL(window.location.href)
    if (at === null) url.searchParams.delete('at')
    else url.searchParams.set('at', String(at))
    if (url.href !== window.location.href) history.replaceState(null, '', url)
  }
}

export const taskPath = (id: string) => `/tasks/${encodeURIComponent(id)}`

window.addEventListener('popstate', () => (current = read(window.location)))

/** Follows plain clicks on links of the app without loading the page anew. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = (event.target as Element | null)?.closest?.('a[href]')
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return
  const url = new URL(link.href)
  if (url.origin !== window.location.origin || url.pathname.startsWith('/v1/')) return
  // A place on this very page, which the browser goes to, with the focus.
  if (url.hash && url.pathname === window.location.pathname) return
  event.preventDefault()
  route.go(url.pathname + url.search)
}

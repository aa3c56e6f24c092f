// Files as a tree: folders first, each with what is in it. Paths come flat and stay the names by which a file is asked for.

export interface Leaf {
  kind: 'file'
  name: string
  path: string
}
export interface Branch {
  kind: 'folder'
  name: string
  path: string
  inside: Node[]
}
export type Node = Leaf | Branch

export function treeOf(paths: Iterable<string>): Node[] {
  const root: Branch = { kind: 'folder', name: '', path: '', inside: [] }
  const folders = new Map<string, Branch>([['', root]])
  const folder = (path: string): Branch => {
    const known = folders.get(path)
    if (known) return known
    const cut = path.lastIndexOf('/')
    const made: Branch = { kind: 'folder', name: path.slice(cut + 1), path, inside: [] }
    folders.set(path, made)
    folder(cut < 0 ? '' : path.slice(0, cut)).inside.push(made)
    return made
  }
  for (const path of paths) {
    const cut = path.lastIndexOf('/')
    folder(cut < 0 ? '' : path.slice(0, cut)).inside.push({ kind: 'file', name: path.slice(cut + 1), path })
  }
  for (const branch of folders.values())
    branch.inside.sort((a, b) => (a.kind === b.kind ? a.name.localeCompare(b.name) : a.kind === 'folder' ? -1 : 1))
  return root.inside
}

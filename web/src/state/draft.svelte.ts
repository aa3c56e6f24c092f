// What the person was writing on the first screen: it survives a look at another one.

let text = $state('')
let files = $state.raw<File[]>([])

export const draft = {
  get text(): string {
    return text
  },
  set text(value: string) {
    text = value
  },
  get files(): File[] {
    return files
  },
  set files(value: File[]) {
    files = value
  },
  clear(): void {
    text = ''
    files = []
  }
}

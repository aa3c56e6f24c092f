// What a finger on the picture of a page means: a tap clicks, twice is a double click, a stroke turns the wheel, a long press
// takes hold and drags, or, let go at once, is the other button. Two fingers are for the picture itself and not told here.

export interface Point {
  x: number
  y: number
}

/** What is done to the page. */
export interface Done {
  tap(at: Point, count: number): void
  /** The finger moved by so much. */
  stroke(at: Point, across: number, down: number): void
  grab(at: Point): void
  drag(at: Point): void
  drop(at: Point): void
  /** A long press that was no drag. */
  menu(at: Point): void
}

/** A finger that moved less far has tapped, on the person's screen. */
const TAP_PIXELS = 8
const LONG_MS = 500
const TWICE_MS = 350
const TWICE_PIXELS = 30

interface Down {
  /** On the page, and on the person's screen. */
  page: Point
  screen: Point
  state: 'resting' | 'stroking' | 'holding' | 'dragging'
  timer: ReturnType<typeof setTimeout>
}

const apart = (one: Point, other: Point) => Math.hypot(one.x - other.x, one.y - other.y)

export class Finger {
  #down: Down | null = null
  #tapped: { screen: Point; atMs: number; count: number } | null = null

  constructor(
    readonly done: Done,
    /** A long press has taken hold. */
    readonly onhold: (held: boolean) => void = () => undefined,
    readonly now: () => number = () => performance.now()
  ) {}

  press(page: Point, screen: Point): void {
    this.leave()
    const down: Down = { page, screen, state: 'resting', timer: setTimeout(() => this.#hold(down), LONG_MS) }
    this.#down = down
  }

  move(page: Point, screen: Point): void {
    const down = this.#down
    if (!down) return
    if (down.state === 'holding' && apart(screen, down.screen) > TAP_PIXELS) {
      down.state = 'dragging'
      this.done.grab(down.page)
    }
    if (down.state === 'resting' && apart(screen, down.screen) > TAP_PIXELS) {
      clearTimeout(down.timer)
      down.state = 'stroking'
    }
    if (down.state === 'dragging') this.done.drag(page)
    else if (down.state === 'stroking') {
      this.done.stroke(page, down.page.x - page.x, down.page.y - page.y)
      down.page = page
    }
  }

  lift(page: Point): void {
    const down = this.#down
    if (!down) return
    const { state } = down
    this.#end()
    if (state === 'dragging') this.done.drop(page)
    else if (state === 'holding') this.done.menu(down.page)
    else if (state === 'resting') this.#tap(down)
  }

  /** The finger means something else: nothing more is done for it. */
  leave(): void {
    const down = this.#down
    this.#end()
    if (down?.state === 'dragging') this.done.drop(down.page)
  }

  #hold(down: Down): void {
    if (this.#down !== down || down.state !== 'resting') return
    down.state = 'holding'
    this.onhold(true)
  }

  #tap({ page, screen }: Down): void {
    const before = this.#tapped
    const again = before !== null && this.now() - before.atMs < TWICE_MS && apart(before.screen, screen) < TWICE_PIXELS
    const count = again ? (before.count % 3) + 1 : 1
    this.#tapped = { screen, atMs: this.now(), count }
    this.done.tap(page, count)
  }

  #end(): void {
    if (!this.#down) return
    clearTimeout(this.#down.timer)
    if (this.#down.state === 'holding' || this.#down.state === 'dragging') this.onhold(false)
    this.#down = null
  }
}

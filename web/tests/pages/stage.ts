// What every page test stands on: a server of its own in a folder of its own, a script for a model, and a browser.

import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'

const root = fileURLToPath(new URL('../../../', import.meta.url))
export const PROGRAM = resolve(process.env['THENAR_PROGRAM'] ?? join(root, 'target/debug/thenar'))
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** Long enough for a loaded machine; nothing waits for it unless it fails. */
export const PATIENCE = 30_000

/** A name that the browser takes for another machine. */
export const ELSEWHERE = 'thenar.test'

export interface Call {
  name: string
  arguments?: Record<string, unknown>
}
export interface Turn {
  say?: string
  calls?: Call[]
  repeat?: number
}

export const sh = (command: string): Call => ({ name: 'shell_exec', arguments: { command } })
export const plan = (...steps: [text: string, status: string][]): Call => ({
  name: 'plan_update',
  arguments: { steps: steps.map(([text, status]) => ({ text, status })) }
})

/** A server with a home of its own. It can be killed and started again at the same address. */
export class Server {
  readonly home = mkdtempSync(join(tmpdir(), 'thenar-pages-'))
  url = ''
  token = ''
  #process: ChildProcess | null = null
  #scripts = 0

  readonly name: string
  readonly #toolset: boolean

  /** With a name, pages come over plain HTTP from another machine, as far as their browser knows; with the toolset, deliverables
   *  can be checked that need it. */
  constructor({ name = '', toolset = false } = {}) {
    this.name = name
    this.#toolset = toolset
  }

  /** Where pages find it. */
  get site(): string {
    if (this.name === '') return this.url
    const { port } = new URL(this.url)
    return `http://${this.name}:${port}`
  }

  /** Writes a script, and gives the model's name. */
  script(...turns: Turn[]): string {
    this.#scripts += 1
    const path = join(this.home, `script-${this.#scripts}.json`)
    writeFileSync(path, JSON.stringify({ turns }))
    return `script:${path}`
  }

  async start(model?: string): Promise<void> {
    const address = this.url ? new URL(this.url).host : '127.0.0.1:0'
    const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: this.home, THENAR_HOME: join(this.home, 'data'), THENAR_LOCAL_SERVERS: 'none', NO_COLOR: '1' }
    if (process.env['THENAR_TOOLSET']) env['THENAR_TOOLSET'] = process.env['THENAR_TOOLSET']
    if (this.#toolset) env['XDG_CACHE_HOME'] = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
    if (model) env['THENAR_MODEL'] = model
    const server = spawn(PROGRAM, ['serve', '--addr', address, ...(this.name ? ['--host', this.name] : [])], { env, cwd: this.home, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = server
    let said = ''
    const link = await new Promise<string>((resolve, reject) => {
      const hear = (piece: Buffer) => {
        said += piece.toString()
        const found = /open\s+(http:\S+)/.exec(said)
        if (found?.[1]) resolve(found[1])
      }
      server.stdout.on('data', hear)
      server.stderr.on('data', hear)
      server.on('error', reject)
      server.on('exit', (code) => reject(new Error(`the server ended (${code}):\n${said}`)))
    })
    const url = new URL(link)
    this.url = url.origin
    this.token = url.searchParams.get('token') ?? ''
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process
    this.#process = null
    if (!server || server.exitCode !== null) return
    const gone = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    await gone
  }

  kill = (): Promise<void> => this.#end('SIGKILL')

  async close(): Promise<void> {
    if (this.#process) {
      const { tasks } = await this.get<{ tasks: { id: string }[] }>('/v1/tasks?limit=200')
      for (const { id } of tasks) await this.post(`/v1/tasks/${id}/stop`, {}).catch(() => undefined)
    }
    await this.#end('SIGTERM')
    rmSync(this.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path, { headers: { authorization: `Bearer ${this.token}` } })
    return (await response.json()) as T
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' }
    const response = await fetch(this.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  async put(path: string, body: unknown): Promise<void> {
    const headers = { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' }
    const response = await fetch(this.url + path, { method: 'PUT', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  }

  /** Makes a task of a script, past the page. */
  async task(model: string, brief: string): Promise<string> {
    return (await this.post<{ id: string }>('/v1/tasks', { task: brief, model })).id
  }

  async until(id: string, state: string): Promise<void> {
    const end = Date.now() + PATIENCE
    for (;;) {
      const task = await this.get<{ state: string }>(`/v1/tasks/${id}`)
      if (task.state === state) return
      if (Date.now() > end) throw new Error(`${id} is ${task.state}, not ${state}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

let browser: Browser | null = null

/** A page that has come in by the link, in a browser that tells of every error. */
export async function open(server: Server, path = '/', options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--force-color-profile=srgb', '--font-render-hinting=none', `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`] })
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', colorScheme: 'light', reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write'], ...options })
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()
  watch(page, server)
  if (server.token) await context.addCookies([{ name: 'thenar_token', value: server.token, url: server.site, sameSite: 'Strict', httpOnly: true }])
  await page.goto(server.site + path)
  return page
}

/** What a page must never do: fail in its script, break its own policy, or ask anybody but its server. */
const wrong = new WeakMap<Page, string[]>()

export function watch(page: Page, server: Server): void {
  const list: string[] = []
  wrong.set(page, list)
  page.on('pageerror', (error) => list.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // A server that is gone, and a foreign page whose script is held back, are wanted here.
    const wanted = /Failed to load resource|ERR_CONNECTION|Blocked script execution in '[^']+\/pages\//
    if (message.type() === 'error' && !wanted.test(message.text())) list.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(server.site) && !/^(blob|data|about):/.test(request.url())) list.push(`asked elsewhere: ${request.url()}`)
  })
}

/** Closes the page; fails the test if it did what it must not. */
export async function done(page: Page): Promise<void> {
  const list = wrong.get(page) ?? []
  await page.context().close()
  if (list.length > 0) throw new Error(list.join('\n'))
}

export async function closeBrowser(): Promise<void> {
  await browser?.close()
  browser = null
}

const axe = readFileSync(fileURLToPath(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8')

/** What axe finds serious or worse on the page, each with its place. */
export async function serious(page: Page): Promise<string[]> {
  // Run beside the page: its policy lets no foreign script in, and needs not for this.
  await page.evaluate(axe)
  return await page.evaluate(async () => {
    interface Found {
      violations: { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] }[]
    }
    const { axe } = window as unknown as { axe: { run(options: object): Promise<Found> } }
    const { violations } = await axe.run({ iframes: false })
    return violations
      .filter((found) => found.impact === 'serious' || found.impact === 'critical')
      .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target.join(' ')} ${node.failureSummary.replace(/\s+/g, ' ')}`))
  })
}

/** What stands beyond the right edge, but for what lies in a box that scrolls sideways. */
export async function overflowing(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const scrolls = (node: Element | null): boolean => node !== null && (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement))
    const main = document.querySelector('main') ?? document.body
    const sideways = [main, ...main.querySelectorAll('*')].filter((node) => {
      const { overflowX, overflowY } = getComputedStyle(node)
      return overflowY === 'auto' && overflowX === 'auto' && node.scrollWidth > node.clientWidth && !node.matches('nav, [role=tablist], pre, [data-wide], .xterm *, .cm-scroller')
    })
    const beyond = [...main.querySelectorAll('*')].filter((node) => node.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(node.parentElement))
    return [...sideways, ...beyond].map((node) => `${node.tagName.toLowerCase()}.${node.className.toString()}`)
  })
}

/** A finger's width, in points. */
const FINGER = 40

/** What is too small for a finger: each with its size. Words in a text, and the parts of a slider or a field, have their own. */
export async function small(page: Page): Promise<string[]> {
  return await page.evaluate((least) => {
    const controls = [...document.querySelectorAll<HTMLElement>('button, a[href], select, summary, [role=tab], input[type=range]')]
    const seen = controls.filter((node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !node.closest('[inert], .markdown, .skip, p'))
    return seen.flatMap((node) => {
      const { width, height, right, left } = node.getBoundingClientRect()
      const off = right <= 0 || left >= window.innerWidth
      return off || (width > least - 1 && height > least - 1) ? [] : [`${node.getAttribute('aria-label') ?? node.textContent.trim().slice(0, 40)}: ${Math.round(width)} × ${Math.round(height)}`]
    })
  }, FINGER)
}

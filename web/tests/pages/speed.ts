// How fast the app is, in a real browser: the first screen, a task of 10,000 events, and moving about in it. It prints
// medians and judges nothing: `THENAR_PROGRAM=../target/release/thenar npm run speed`.

import { afterAll, beforeAll, it } from 'vitest'
import type { Page } from 'playwright-core'
import { closeBrowser, open, Server, sh } from './stage'

/** A step is nine events or so. */
const STEPS = 1_250
const TRIES = 7

const server = new Server()
let long = ''

beforeAll(async () => {
  await server.start()
  long = await server.task(server.script({ calls: [sh('echo {{i}}')], repeat: STEPS }, { say: 'All of it.', calls: [{ name: 'idle' }] }), 'Count for long')
  const end = Date.now() + 280_000
  for (;;) {
    const { state } = await server.get<{ state: string }>(`/v1/tasks/${long}`)
    if (state === 'done') break
    if (Date.now() > end) throw new Error(`the task is ${state}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}, 300_000)
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

const median = (figures: number[]) => Math.round(figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0)

/** Milliseconds from the start of the page until what is sought is there and drawn. */
async function until(page: Page, seek: () => boolean): Promise<number> {
  return await page.evaluate(`new Promise((resolve) => {
    const sought = ${seek.toString()}
    const look = () => (sought() ? requestAnimationFrame(() => resolve(performance.now())) : requestAnimationFrame(look))
    look()
  })`)
}

async function opened(path: string, seek: () => boolean): Promise<number> {
  const figures: number[] = []
  for (let tried = 0; tried < TRIES; tried++) {
    const page = await open(server, path)
    figures.push(await until(page, seek))
    await page.context().close()
  }
  return median(figures)
}

it('prints its figures', async () => {
  const { last_seq: events } = await server.get<{ last_seq: number }>(`/v1/tasks/${long}`)
  const home = await opened('/', () => document.querySelector('textarea') !== null && !document.querySelector('textarea')?.disabled)
  const task = await opened(`/tasks/${long}`, () => document.body.innerText.includes('All of it.'))
  const page = await open(server, `/tasks/${long}`)
  await page.getByText('All of it.').first().waitFor()
  // From one end to the other and back, a place each frame, as a hand that pulls the slider.
  const frames = (await page.evaluate(`new Promise((resolve) => {
    const slider = document.querySelector('input[type=range]')
    const times = []
    let step = 0
    const move = (now) => {
      times.push(now)
      if (step > 240) return resolve(times)
      slider.value = String(Math.round(1 + (Number(slider.max) - 1) * Math.abs(1 - step / 120)))
      slider.dispatchEvent(new Event('input', { bubbles: true }))
      step += 1
      requestAnimationFrame(move)
    }
    requestAnimationFrame(move)
  })`)) as number[]
  const gaps = frames.slice(1).map((time, at) => time - (frames[at] ?? time))
  await page.context().close()
  console.log(`first screen ready: ${home} ms`)
  console.log(`a finished task of ${events} events open: ${task} ms`)
  console.log(`a frame while the slider is pulled: median ${median([...gaps])} ms, longest ${Math.round(Math.max(...gaps))} ms`)
})

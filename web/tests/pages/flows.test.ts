// The app as a person uses it, from the first sentence to the last: a real browser, a real server, a script for a model.

import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { closeBrowser, done, open, PATIENCE, plan, Server, sh, watch } from './stage'

const server = new Server()

const REPORT = '<!doctype html><html lang="en"><title>Report</title><style>h1{color:rgb(1,2,3)}</style><script>document.title="ran"</script><h1>Figures</h1><p>All is well with the three of them.</p></html>'

const model = server.script(
  { say: 'I will look first.', calls: [plan(['Look around', 'in_progress'], ['Write it down', 'pending'])] },
  { calls: [sh('echo "Hello from the computer"')] },
  {
    say: 'Now I write it down.',
    calls: [
      plan(['Look around', 'done'], ['Write it down', 'in_progress']),
      { name: 'file_write', arguments: { path: 'report.html', content: REPORT } },
      { name: 'file_write', arguments: { path: 'notes.md', content: '# Notes\n\n- **three** figures\n' } },
      { name: 'file_write', arguments: { path: 'table.csv', content: 'name,count\nfirst,1\n"second, really",2\n' } },
      { name: 'file_str_replace', arguments: { path: 'notes.md', old: 'three', new: 'four' } }
    ]
  },
  { calls: [{ name: 'deliver', arguments: { files: [{ path: 'report.html' }, { path: 'notes.md' }, { path: 'table.csv' }] } }] },
  { say: 'Done: three files.', calls: [plan(['Look around', 'done'], ['Write it down', 'done']), { name: 'idle' }] }
)

beforeAll(() => server.start(model))
afterAll(async () => {
  await closeBrowser()
  await server.close()
})

it('comes in by the link that the terminal prints, and not without', async () => {
  const page = await open(Object.create(server, { token: { value: '' } }) as Server)
  await page.getByRole('heading', { name: 'The door is locked' }).waitFor()
  await page.getByLabel('Access token').fill('not the token')
  await page.getByRole('button', { name: 'Enter' }).click()
  await page.getByRole('alert').getByText('This token is not valid.').waitFor()
  expect(page.url()).toBe(`${server.url}/`)
  // The whole link does, too.
  await page.getByLabel('Access token').fill(`  open  ${server.url}/?token=${server.token} `)
  await page.getByRole('button', { name: 'Enter' }).click()
  await page.getByRole('heading', { name: 'What should be done?' }).waitFor()
  expect(page.url()).toBe(`${server.url}/`)
  await done(page)
})

it('a new task: asked, watched, handed over, looked at', async () => {
  const page = await open(server)
  await page.getByRole('textbox', { name: 'What should be done?' }).fill('Count the three figures')
  await page.keyboard.press('Enter')
  await page.getByText('Done: three files.').waitFor()
  expect(page.url()).toMatch(/\/tasks\/[\w-]+$/)
  await page.getByRole('heading', { name: /Write it down/ }).waitFor()
  const terminal = page.locator('.xterm-accessibility')
  await page.getByRole('tab', { name: 'Terminal' }).click()
  await expect.poll(() => terminal.textContent(), { timeout: PATIENCE }).toContain('Hello from the computer')

  await page.getByRole('button', { name: 'Open report.html' }).click()
  const frame = page.frameLocator('dialog iframe')
  await frame.getByRole('heading', { name: 'Figures' }).waitFor()
  expect(await frame.locator('h1').evaluate((h1) => [getComputedStyle(h1).color, document.title])).toEqual(['rgb(1, 2, 3)', 'Report'])
  await page.getByRole('dialog').getByRole('button', { name: 'notes.md' }).click()
  await page.getByRole('dialog').getByRole('heading', { name: 'Notes', exact: true }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'table.csv' }).click()
  await page.getByRole('cell', { name: 'second, really' }).waitFor()
  const saved = page.waitForEvent('download')
  await page.getByRole('dialog').getByRole('link', { name: 'Save', exact: true }).click()
  expect((await saved).suggestedFilename()).toBe('table.csv')
  const all = page.waitForEvent('download')
  await page.getByRole('dialog').getByRole('link', { name: 'Save all' }).click()
  // By a reader that knows nothing of us: names, sizes, checksums.
  const read = spawnSync('python3', ['-c', 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), *sorted(z.namelist()))', await (await all).path()], { encoding: 'utf8' })
  expect(read.stdout.trim()).toBe('None notes.md report.html table.csv')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await done(page)
})

it('the files, and what a step changed in one', async () => {
  const id = await server.task(server.script({ calls: [{ name: 'file_write', arguments: { path: 'a.py', content: 'one = 1\n' } }, { name: 'file_str_replace', arguments: { path: 'a.py', old: '= 1', new: '= 2' } }] }, { calls: [{ name: 'idle' }] }), 'Write a file')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('button', { name: 'Edit a.py' }).click()
  await page.locator('.cm-deletedChunk').waitFor()
  await expect.poll(() => page.locator('.cm-content').innerText()).toContain('one = 2')
  await page.getByRole('button', { name: 'Follow the agent' }).click()
  await page.getByRole('tab', { name: 'Files' }).click()
  await page.getByRole('button', { name: 'a.py', exact: true }).click()
  await expect.poll(() => page.locator('.cm-content').innerText()).toContain('one = 2')
  await done(page)
})

it('a question is asked and answered', async () => {
  const id = await server.task(server.script({ calls: [{ name: 'message_ask_user', arguments: { text: 'Which year, **2023** or 2024?\n\n3. the third\n\n- [x] done\n- [ ] open\n\n|a|b|\n|---|--:|\n|c|d|' } }] }, { say: 'Thank you.', calls: [{ name: 'idle' }] }), 'Ask me')
  const page = await open(server, `/tasks/${id}`)
  const question = page.getByRole('region', { name: 'A question for you' })
  await question.getByText('2023').waitFor()
  // Lists begin where they say, boxes are ticked, columns have their sides.
  expect(await question.locator('ol').getAttribute('start')).toBe('3')
  expect(await question.locator('input').evaluateAll((boxes) => boxes.map((box) => (box as HTMLInputElement).checked))).toEqual([true, false])
  expect(await question.locator('td').last().getAttribute('align')).toBe('right')
  await page.getByRole('link', { name: /Ask me/ }).getByText('Waits for you').first().waitFor()
  await page.getByRole('textbox', { name: 'Your answer…' }).fill('2024')
  await page.keyboard.press('Enter')
  await page.getByText('Thank you.').waitFor()
  await page.getByText('2024', { exact: true }).waitFor()
  await done(page)
})

it('an approval shows exactly what it is for, and is refused and allowed', async () => {
  const accept = [{ text: 'It has ten rows', status: 'failed', note: 'it has one' }]
  const long = 'one  of many\n'.repeat(60)
  const id = await server.task(
    server.script(
      { calls: [plan(['Write', 'in_progress']), { name: 'file_write', arguments: { path: 'rows.csv', content: 'a,b\n1,2\n' } }] },
      { calls: [{ name: 'plan_update', arguments: { steps: [{ text: 'Write' }], acceptance: [{ text: 'It has ten rows' }] } }] },
      { calls: [{ name: 'deliver', arguments: { files: [{ path: 'rows.csv', description: `${long}last\u202e line` }], acceptance: accept, request_waiver: true } }], repeat: 2 },
      { say: 'So be it.', calls: [{ name: 'idle' }] }
    ),
    'Deliver although a point failed'
  )
  const page = await open(server, `/tasks/${id}`)
  const approval = page.getByRole('region', { name: 'May this be done?' })
  await approval.first().getByText('rows.csv').waitFor()
  // All of it, as it stands.
  const text = approval.first().getByText('one of many')
  expect(await text.innerText()).toBe(`${long}last· line`)
  expect(await text.evaluate((box) => box.scrollHeight <= box.clientHeight + 1)).toBe(true)
  await approval.first().getByText('it asks to hand over although not all that was asked for has passed its check').waitFor()
  // What policy says is said in the reader's language.
  const chinese = await open(server, `/tasks/${id}`, { locale: 'zh-CN' })
  await chinese.getByText('并非所有要求都通过了检查，它仍请求交付').waitFor()
  await done(chinese)
  await approval.first().getByLabel('A note for the agent').fill('try once more')
  await approval.first().getByRole('button', { name: 'Refuse' }).click()
  await approval.first().getByText('try once more').waitFor()
  await approval.nth(1).getByRole('button', { name: 'Allow' }).click()
  await page.getByText('So be it.').waitFor()
  await page.getByText('1 file for you').waitFor()
  await done(page)
})

it('stopped, and resumed with another budget', async () => {
  const id = await server.task(server.script({ calls: [sh('sleep 0.2; echo {{i}}')], repeat: 200 }, { calls: [{ name: 'idle' }] }), 'Go on for long')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('button', { name: /^Run / }).nth(1).waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('button', { name: 'Go on' }).waitFor()
  const { steps } = await server.get<{ steps: number }>(`/v1/tasks/${id}`)
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('button', { name: 'Change the budget' }).click()
  await page.getByLabel('Steps').fill(String(steps + 2))
  await page.getByRole('button', { name: 'Set and go on' }).click()
  await page.getByText(`The limit of ${steps + 2} steps is reached`).waitFor()
  await done(page)
})

it('the server is killed and started again, and the page heals by itself', async () => {
  const line = { calls: [sh('sleep 0.3; echo line {{i}}')] }
  const held = { calls: [sh('until [ -e go ]; do sleep 0.1; done')] }
  const lines = server.script({ ...line, repeat: 6 }, held, { ...line, repeat: 5 }, { say: 'All twelve lines.', calls: [{ name: 'idle' }] })
  const id = await server.task(lines, 'Survive')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('button', { name: /^Run / }).nth(2).waitFor()
  await server.kill()
  await page.getByText('Connection lost – trying again').waitFor()
  // It stands for a moment only.
  const back = page.getByText('Connected again').waitFor()
  await server.start(model)
  await back
  writeFileSync(join(server.home, 'data', 'tasks', id, 'workspace', 'go'), '')
  await page.getByText('All twelve lines.').waitFor()
  await page.getByText('Taken up again').waitFor()
  // Nothing is lost or shown twice.
  expect(await page.getByRole('button', { name: /^Run / }).count()).toBe(12)
  await done(page)
})

it('replay: the same task at another time, by slider, keys, play and link', async () => {
  const id = await server.task(server.script({ calls: [sh('echo line {{i}}')], repeat: 8 }, { say: 'All eight.', calls: [{ name: 'idle' }] }), 'Count to eight')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  const steps = page.getByRole('button', { name: /^Run / })
  const slider = page.getByRole('slider', { name: 'Moment' })
  await page.getByText('All eight.').waitFor()
  await expect.poll(() => steps.count()).toBe(8)
  await slider.press('Home')
  await expect.poll(async () => [await steps.count(), await page.getByText('All eight.').count()]).toEqual([0, 0])
  await page.getByText('You are looking at an earlier moment.').waitFor()
  // Each step begins and ends.
  for (let key = 0; key < 6; key++) await slider.press('ArrowRight')
  await expect.poll(() => steps.count()).toBe(3)
  const moment = page.url()
  expect(moment).toMatch(/\?at=\d+$/)
  await page.getByRole('button', { name: 'Copy a link to this moment' }).click()
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe(moment)

  await page.goto(moment)
  await expect.poll(() => steps.count()).toBe(3)
  await page.getByRole('button', { name: /Speed/ }).click()
  await page.getByRole('button', { name: 'Play' }).click()
  await page.getByText('All eight.').waitFor()
  await expect.poll(() => steps.count()).toBe(8)
  await expect.poll(() => page.url()).not.toContain('at=')
  await done(page)
})

it('a link shows the task to somebody without a token, and ends when it is taken back', async () => {
  const id = await server.task(server.script({ calls: [plan(['Say it', 'in_progress']), sh('echo from /home/anna/work')] }, { calls: [{ name: 'file_write', arguments: { path: 'notes.md', content: '# Notes for all\n\nAll is well with the three of them.\n' } }] }, { calls: [{ name: 'deliver', arguments: { files: [{ path: 'notes.md' }] } }] }, { say: 'Shared words.', calls: [{ name: 'idle' }] }), 'Something to share')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  await page.getByText('Shared words.').waitFor()
  const make = async (what: string) => {
    await page.getByRole('button', { name: 'Share', exact: true }).click()
    await page.getByRole('radio', { name: what }).check()
    await page.getByRole('button', { name: 'Make a link' }).click()
    const link = await page.getByRole('textbox', { name: 'The link' }).inputValue()
    await page.keyboard.press('Escape')
    return link.slice(server.url.length)
  }
  const [outcome, everything] = [await make('The outcome'), await make('Everything')]

  const stranger = Object.create(server, { token: { value: '' } }) as Server
  const guest = await open(stranger, everything)
  await guest.getByText('Shared with you').waitFor()
  await guest.getByText('Shared words.').waitFor()
  await guest.getByRole('button', { name: /^Run / }).click()
  await expect.poll(() => guest.locator('.xterm-accessibility').textContent(), { timeout: PATIENCE }).toContain('from ~/work')
  expect(await guest.locator('textarea:not(.xterm-helper-textarea), input[type=text]').count()).toBe(0)
  await guest.getByRole('button', { name: 'Open notes.md' }).click()
  await guest.getByRole('dialog').getByRole('heading', { name: 'Notes for all' }).waitFor()
  await guest.keyboard.press('Escape')
  await guest.getByRole('slider', { name: 'Moment' }).press('Home')
  await expect.poll(() => guest.getByText('Shared words.').count(), { timeout: PATIENCE }).toBe(0)
  const moment = guest.url()
  expect(moment).toMatch(/\?at=\d+$/)
  await guest.goto(moment)
  await guest.getByRole('slider', { name: 'Moment' }).press('End')
  await guest.getByText('Shared words.').waitFor()

  const other = await open(stranger, outcome)
  await other.getByText('Shared words.').waitFor()
  await other.getByRole('button', { name: 'Open notes.md' }).waitFor()
  expect([await other.getByRole('button', { name: /^Run / }).count(), await other.getByRole('region', { name: 'Computer' }).count()]).toEqual([0, 0])

  await page.getByRole('button', { name: 'Share', exact: true }).click()
  await page.getByRole('listitem').filter({ hasText: 'Everything' }).getByRole('button', { name: 'Take back' }).click()
  await guest.getByRole('heading', { name: 'This link has ended' }).waitFor()
  await other.reload()
  await other.getByText('Shared words.').waitFor()
  for (const opened of [page, guest, other]) await done(opened)
})

it('another way from an earlier moment is a task of its own', async () => {
  const id = await server.task(server.script({ say: 'First.', calls: [{ name: 'file_write', arguments: { path: 'one.txt', content: 'one' } }] }, { say: 'Second.', calls: [{ name: 'file_write', arguments: { path: 'two.txt', content: 'two' } }] }, { say: 'Over.', calls: [{ name: 'idle' }] }), 'Write two files')
  await server.until(id, 'done')
  const { checkpoints } = await server.get<{ checkpoints: { number: number; at_seq: number }[] }>(`/v1/tasks/${id}/checkpoints`)
  const page = await open(server, `/tasks/${id}?at=${(checkpoints[0]?.at_seq ?? 0) + 1}`)
  await page.getByRole('button', { name: 'Another way from here' }).click()
  await page.getByLabel('What should be done otherwise?').fill('Use other words')
  await page.getByRole('button', { name: 'Begin', exact: true }).click()
  await page.getByText('Use other words').waitFor()
  await expect.poll(() => page.url()).not.toContain(id)
  const fork = page.url().split('/').at(-1)?.split('?')[0] ?? ''
  expect((await server.get<{ forked_from: { task: string; checkpoint: number } }>(`/v1/tasks/${fork}`)).forked_from).toMatchObject({ task: id, checkpoint: checkpoints[0]?.number })
  await done(page)
})

it('the record is checked in the page, and an altered one is found out', async () => {
  const id = await server.task(server.script({ say: 'One word.', calls: [{ name: 'idle' }] }), 'Say one word')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}/record`)
  await page.getByText('The record is whole').waitFor()
  await page.getByRole('button', { name: /Model replied/ }).click()
  await page.locator('pre').getByText('One word.').waitFor()
  const head = (await page.locator('.seal code').innerText()).trim()
  const saved = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Export the record' }).click()
  expect((await saved).suggestedFilename()).toBe(`${id}.journal`)
  // By the reader that knows nothing of us.
  const checked = spawnSync('python3', [join(import.meta.dirname, '../../../docs/verify_journal.py'), await (await saved).path()], { encoding: 'utf8' })
  expect([checked.status, checked.stdout]).toEqual([0, expect.stringContaining(head)])
  await page.getByRole('textbox', { name: /kept elsewhere/ }).fill(head)
  await page.getByText('It is the same.').waitFor()

  await page.route('**/record', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: (await response.text()).replace('One word.', 'Two words.') })
  })
  await page.reload()
  await page.getByText(/does not hold at record/).waitFor()
  await page.getByText('What it says does not match its digest.').waitFor()
  await done(page)
})

it('a model is put into the settings, tried, and taken out; its key is kept and not shown', async () => {
  const page = await open(server, '/settings/models')
  await page.getByRole('button', { name: 'Add a model' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name of the model').fill('little')
  await dialog.getByLabel('Address', { exact: true }).fill('http://127.0.0.1:1/v1')
  await dialog.getByLabel('Key', { exact: true }).fill('sk-page-0123456789')
  await dialog.getByLabel('Input', { exact: true }).fill('0.5')
  await dialog.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByRole('radio', { name: /openai:little/ }).waitFor()
  const file = join(server.home, 'data/config.toml')
  expect([readFileSync(file, 'utf8').includes('api_key = "sk-page-0123456789"'), statSync(file).mode & 0o777]).toEqual([true, 0o600])
  expect(JSON.stringify(await server.get('/v1/settings'))).not.toContain('sk-page')
  await page.getByRole('button', { name: 'More about openai:little' }).click()
  await page.getByRole('button', { name: 'Change' }).click()
  expect(await dialog.getByLabel('Key', { exact: true }).getAttribute('placeholder')).toBe('A key is kept; a new one replaces it')
  expect(await page.content()).not.toContain('sk-page')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'More about openai:little' }).click()
  await page.getByRole('button', { name: 'Take it out' }).click()
  // Asked once more: the key goes with it.
  await dialog.getByText('The key cannot be had again from here.').waitFor()
  expect(await page.getByRole('radio', { name: /openai:little/ }).count()).toBe(1)
  await dialog.getByRole('button', { name: 'Take it out' }).click()
  await expect.poll(() => page.getByRole('radio', { name: /openai:little/ }).count()).toBe(0)
  expect(readFileSync(file, 'utf8')).not.toContain('sk-page')

  await page.locator('.model', { hasText: 'script:' }).getByRole('button', { name: 'Try' }).click()
  await page.getByText('Thenar can work with this model.').waitFor()
  await done(page)
})

it('usual limits hold for a task that says nothing, and the machine is examined', async () => {
  const page = await open(server, '/settings/budget')
  const all = page.getByRole('group', { name: 'For every task that says nothing else' })
  await all.getByLabel('Steps').fill('77')
  await all.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await server.get<{ limits: { max_steps: number } }>('/v1/settings')).limits.max_steps).toBe(77)
  const id = await server.task(server.script({ calls: [{ name: 'idle' }] }), 'Say nothing of limits')
  expect((await server.get<{ max_steps: number }>(`/v1/tasks/${id}`)).max_steps).toBe(77)
  await all.getByLabel('Steps').fill('')
  await all.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('link', { name: 'About' }).click()
  await page.getByText(/^Thenar \d+\./).waitFor()
  await page.getByRole('button', { name: 'Examine' }).click()
  await page.getByText(/Tasks can(not)? be run here/).waitFor()
  await done(page)
})

it('words are shown while the model says them, and the reply takes their place', async () => {
  const pieces = ['Word by ', 'word it ', 'comes.']
  let goOn: (() => void) | undefined
  const model = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const chunk = (delta: object, finish: string | null = null) => response.write(`data: ${JSON.stringify({ id: 'a', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`)
    chunk({ role: 'assistant', content: pieces[0] })
    goOn = () => {
      for (const piece of pieces.slice(1)) chunk({ content: piece })
      chunk({}, 'stop')
      response.end('data: [DONE]\n\n')
    }
  })
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve))
  const address = model.address() as AddressInfo
  await server.put('/v1/settings/models/openai:slow', { base_url: `http://127.0.0.1:${address.port}/v1` })
  const id = await server.task('openai:slow', 'Speak slowly')
  const page = await open(server, `/tasks/${id}`)
  await page.getByText('Word by', { exact: true }).waitFor()
  expect(await page.locator('.words').count()).toBe(1)
  goOn?.()
  await page.getByText('Word by word it comes.').waitFor()
  await expect.poll(() => page.locator('.words').count()).toBe(0)
  expect(await page.getByText('Word by word it comes.').count()).toBe(1)
  await done(page)
  model.closeAllConnections()
  model.close()
})

it('tasks are found by search and state', async () => {
  const page = await open(server)
  await page.getByRole('link', { name: /Survive/ }).waitFor()
  await page.getByRole('searchbox', { name: 'Search tasks' }).fill('count eight')
  await expect.poll(() => page.locator('.list a').count()).toBe(1)
  await page.getByRole('searchbox', { name: 'Search tasks' }).fill('')
  await page.getByRole('button', { name: 'Stopped' }).click()
  await expect.poll(() => page.locator('.list a').allInnerTexts()).toEqual([expect.stringContaining('Go on for long')])
  await done(page)
})

it('a task is removed for good', async () => {
  const id = await server.task(server.script({ calls: [{ name: 'idle' }] }), 'To be removed')
  await server.until(id, 'done')
  const page = await open(server, `/tasks/${id}`)
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('button', { name: 'Remove the task' }).click()
  await page.getByRole('button', { name: 'Remove for good' }).click()
  await page.getByRole('heading', { name: 'What should be done?' }).waitFor()
  expect(await page.getByRole('link', { name: /To be removed/ }).count()).toBe(0)
  await page.goto(`${server.url}/tasks/${id}`)
  // Nothing of a task.
  await page.getByRole('heading', { name: 'This task is not here' }).waitFor()
  await page.getByText('To the first page').waitFor()
  expect(await page.getByRole('button', { name: 'Stop', exact: true }).count()).toBe(0)
  await done(page)
})

it('every page asks its own server only', async () => {
  const page = await open(server)
  watch(page, server)
  await page.getByRole('heading', { name: 'What should be done?' }).waitFor()
  const elsewhere = await page.evaluate(() => fetch('http://127.0.0.1:1/').then(() => 'reached', (error: Error) => error.name))
  expect(elsewhere).toBe('TypeError')
  await page.context().close()
})

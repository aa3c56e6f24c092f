// Markdown of models and of whoever they read: none of it keeps the page busy, and nothing of what people write is refused for that.

import { expect, it } from 'vitest'
import { parsed } from '../../src/parts/parse-markdown'

it('shows a text as it is that would keep the page busy or is nested beyond sense', () => {
  const texts = ['**a_'.repeat(10_000), '_a'.repeat(50_000), `a${' '.repeat(50_000)}b`, `${'a.'.repeat(50_000)}@`, `${'>'.repeat(5_000)} a`, `${'- '.repeat(3_000)}a`, `${'1. '.repeat(5_000)}a`]
  for (const text of texts) expect(parsed(text), text.slice(0, 12)).toBeNull()
})

it('parses what people write, also much of it', () => {
  const row = '| `some_long_name` | **42** | _about_ the `other_long_name` of it |\n'
  const table = `| a | b | c |\n|:-:|---|--:|\n${row.repeat(2_000)}`
  expect(parsed(table)).toContain('align="center"')
  const code = `\`\`\`py\n${'some_name = other_name * more_names ** 2\n'.repeat(3_000)}\`\`\``
  expect(parsed(code)).toContain('<pre>')
  const prose = `${'A sentence with **a word** and _another one_ of it. '.repeat(40)}\n\n`
  expect(parsed(prose.repeat(100))).toContain('<strong>')
  expect(parsed('3. c\n4. d\n\n- [x] done')).toMatch(/start="3"[\s\S]*checked/)
})

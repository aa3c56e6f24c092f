// `npm run speed`: figures of a real browser before a real server, printed and not judged. For a release build.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['tests/pages/speed.ts'], testTimeout: 120_000, hookTimeout: 300_000, fileParallelism: false }
})

// The page tests: a real browser before a real server. Apart from the unit tests, for they need both.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/pages/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // A second is too short for a busy machine.
    expect: { poll: { timeout: 20_000 } },
    // One browser and one server are enough for two cores.
    fileParallelism: false,
    globals: false
  }
})

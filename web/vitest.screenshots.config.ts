// `make screenshots`: pictures, no checks.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { include: ['tests/pages/screenshots.ts'], testTimeout: 60_000, hookTimeout: 300_000, fileParallelism: false }
})

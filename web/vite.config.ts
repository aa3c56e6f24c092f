// How the app is built: one page, hashed files, nothing inlined, so that the server's policy can forbid all that is not a file
// of ours. `npm run dev` stands before a running `thenar serve`: THENAR_SERVER=http://127.0.0.1:7171 THENAR_TOKEN=… npm run dev
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const server = process.env['THENAR_SERVER'] ?? 'http://127.0.0.1:7171'

/** A packed copy beside each text, which the server sends as it is; and the file that keeps the folder in the repository. */
const packed: Plugin = {
  name: 'packed',
  apply: 'build',
  closeBundle() {
    const files = readdirSync('dist', { recursive: true, encoding: 'utf8' })
    for (const file of files.filter((name) => /\.(js|css|html|svg|mjs)$/.test(name))) {
      const text = readFileSync(`dist/${file}`)
      if (text.length > 1024) writeFileSync(`dist/${file}.gz`, gzipSync(text, { level: 9 }))
    }
    writeFileSync('dist/.gitignore', '*\n!.gitignore\n')
  }
}

export default defineConfig({
  plugins: [svelte(), packed],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500
  },
  server: {
    proxy: {
      '/v1': {
        target: server,
        changeOrigin: true,
        headers: { origin: server, authorization: `Bearer ${process.env['THENAR_TOKEN'] ?? ''}` }
      }
    }
  },
  test: { include: ['tests/unit/**/*.test.ts'] }
})

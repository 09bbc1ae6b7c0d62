import { defineConfig } from 'vitest/config'

// Two projects: `unit` needs nothing but Node; `e2e` needs root, runc, crun and the images that `make images` builds.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 600_000,
          // One file at a time, and only when the unit tests are through: the tests share two cores, real runtimes
          // and the host's network.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})

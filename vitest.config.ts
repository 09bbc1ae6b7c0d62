import { defineConfig } from 'vitest/config'

// Three projects: `unit` needs nothing but Node; `e2e` needs root, runc, crun and the images that `make images` builds;
// `cluster` needs root and the Kubernetes that `make images` builds as well.
export default defineConfig({
  test: {
    // No summary that is drawn anew all the time: `make test` runs two of the projects side by side.
    reporters: [['default', { summary: false }]],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/cluster/**'],
          // Far more than any takes on a machine of its own.
          testTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 600_000,
          // One file at a time: the tests share the host's network, and its groups for limits.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          globalSetup: ['test/cluster/bed/global-setup.ts'],
          testTimeout: 240_000,
          hookTimeout: 600_000,
          // Most of the time they wait for pods. Files share a bed in namespaces of their own, or have their own bed.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})

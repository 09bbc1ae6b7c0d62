/** One bed for all files of the project `cluster`: it starts before the first and ends after the last. */
import type { TestProject } from 'vitest/node'
import { startBed } from './bed.ts'
import { givenKubeconfig, isClusterMissing } from './test-cluster.ts'

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (givenKubeconfig() !== undefined || (await isClusterMissing())) {
    project.provide('bedRoot', '')
    return async () => undefined
  }
  const bed = await startBed()
  project.provide('bedRoot', bed.plane.root)
  return () => bed.stop()
}

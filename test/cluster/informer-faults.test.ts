/** The fault table against a real API server. */
import { afterAll } from 'vitest'
import { describeFaults } from '../engine/kubernetes/api/fault-suite.ts'
import { startControlPlane, type ControlPlane } from './bed/control-plane.ts'

let plane: Promise<ControlPlane> | undefined

describeFaults('faults before a real server', async () => {
  plane ??= startControlPlane()
  const { url, ca, adminCert, adminKey } = await plane
  return { url, ca, cert: adminCert, key: adminKey }
})

afterAll(async () => {
  await (await plane)?.stop()
})

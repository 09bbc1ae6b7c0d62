/** The fault table against the fake server; test/cluster has it against a real one. */
import { afterAll } from 'vitest'
import { startFakeApiServer, type FakeApiServer } from '../../../support/fake-api-server.ts'
import { describeFaults } from './fault-suite.ts'

const servers: FakeApiServer[] = []

describeFaults('faults before a fake server', async () => {
  const server = await startFakeApiServer()
  servers.push(server)
  return { url: server.url }
})

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
})

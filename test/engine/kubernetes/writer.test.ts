import { expect, test } from 'vitest'
import { Term } from '../../../src/engine/kubernetes/leader-term.ts'
import { SERVICES } from '../../../src/engine/kubernetes/resources.ts'
import { endlessTerm, writerOf } from '../../../src/engine/kubernetes/writer.ts'
import { KEY } from '../../support/builders.ts'
import { MemoryKube } from '../../support/memory-kube.ts'

const SERVICE = { apiVersion: 'v1', kind: 'Service', metadata: KEY }

function world() {
  const kube = new MemoryKube()
  const writer = writerOf(kube)
  return { kube, writer, write: () => writer.client.create(SERVICES, SERVICE, { fieldManager: 'x' }) }
}

test('nothing is written before the first term, and everything may be read', async () => {
  const { kube, writer, write } = world()
  await expect(write()).rejects.toMatchObject({ reason: 'ControllerUnavailable' })
  expect(await writer.client.list(SERVICES)).toEqual([])
  expect(kube.writes).toEqual([])
})

test('a leader writes until its own deadline', async () => {
  const { kube, writer, write } = world()
  let elapsed = 0
  writer.lead(new Term(() => elapsed, 10))
  await write()
  elapsed = 10
  await expect(write()).rejects.toMatchObject({ reason: 'ControllerUnavailable' })
  expect(kube.writes).toHaveLength(1)
})

test('the only controller may always write', async () => {
  const { kube, writer, write } = world()
  writer.lead(endlessTerm())
  await write()
  expect(kube.writes).toHaveLength(1)
})

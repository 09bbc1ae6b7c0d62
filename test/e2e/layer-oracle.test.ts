/**
 * The suite of layers against real peers: umoci, buildah and containerd do what the committed table says of them, case
 * by case, and nothing else; on real images all of them and Fairlead agree; and our model of overlayfs is containerd's.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { rowOf } from '../conformance/layers/compare.ts'
import { CASES } from '../conformance/layers/cases.ts'
import { everywhereOf, readTable, upstreamVersion } from '../conformance/layers/divergence-table.ts'
import {
  measureImages,
  measureTools,
  type ImageResults,
  type Measured,
} from '../conformance/layers/measure.ts'
import { modelProblems, reportProblems } from '../conformance/layers/overlayfs-agreement.ts'
import { OVERLAYFS_EXCEPTIONS } from '../conformance/layers/overlayfs-exceptions.ts'
import { runInMemory } from '../conformance/layers/run-in-memory.ts'
import { REAL_IMAGES, withRealImages } from '../conformance/layers/real-images.ts'
import { TOOLS } from '../conformance/layers/tools/all.ts'
import { FAIRLEAD } from '../conformance/layers/tools/fairlead.ts'

const WITHIN_MS = 900_000
const table = readTable()
const recorded = new Map(table.cases.map((row) => [row.id, row.tools]))

let results: ReadonlyMap<string, Measured>
let images: ImageResults

beforeAll(async () => {
  results = new Map((await measureTools(TOOLS, CASES)).map((result) => [result.tool, result]))
  images = await withRealImages((subjects) => measureImages(TOOLS, subjects))
}, WITHIN_MS)

test('the table is about exactly these tools', () => {
  expect(Object.keys(table.tools)).toEqual(TOOLS.map(({ name }) => name))
})

test('the table is about cases that there are', () => {
  const known = new Set([...CASES, ...REAL_IMAGES].map(({ id }) => id))
  expect(table.cases.map(({ id }) => id).filter((id) => !known.has(id))).toEqual([])
})

describe.each(TOOLS.map(({ name }) => name))('%s', (name) => {
  test('is of the version that the table was made with', () => {
    const found = upstreamVersion(resultOf(name).version)
    const recordedVersion = table.tools[name] ?? ''
    expect(found, `${name} ${found} is installed, the table tells of ${name} ${recordedVersion}`).toBe(
      recordedVersion,
    )
  })

  test('has in every case what the table says, and nothing else', () => {
    const comparisons = new Map([...resultOf(name).comparisons, ...(images.get(name) ?? [])])
    expect(everywhereOf({ ...resultOf(name), comparisons })).toEqual(table.everywhere[name])
  })

  test.each(CASES.map(({ id, title }) => [id, title]))('%s: %s', (id) => {
    const comparison = resultOf(name).comparisons.get(id)
    const row = comparison === undefined ? undefined : rowOf(comparison)
    expect(row, comparison?.differences.join('\n')).toEqual(recorded.get(id)?.[name])
  })
})

describe.each(TOOLS.map(({ name }) => name).filter((name) => name !== FAIRLEAD.name))(
  '%s and Fairlead on',
  (name) => {
    test.each(REAL_IMAGES.map(({ id, title }) => [id, title]))('%s: %s', (id) => {
      const comparison = images.get(name)?.get(id)
      const row = comparison === undefined ? undefined : rowOf(comparison)
      expect(row, comparison?.differences.join('\n')).toEqual(recorded.get(id)?.[name])
    })
  },
)

describe('overlayfs as containerd shows it', () => {
  const why = new Map(OVERLAYFS_EXCEPTIONS.flatMap(({ cases, why }) => cases.map((id) => [id, why] as const)))
  const shown = CASES.filter(({ limits }) => limits === undefined)

  test.each(shown.map((layerCase) => [layerCase.id, layerCase.title, layerCase] as const))(
    '%s: %s',
    async (id, _title, layerCase) => {
      const containerd = resultOf('containerd').outcomes.get(id)
      const buildah = resultOf('buildah-overlay').outcomes.get(id)
      if (containerd === undefined || buildah === undefined) return
      const spec = await runInMemory(layerCase)
      const model = await runInMemory(layerCase, undefined, 'overlayfs')
      const problems = [...modelProblems(model, containerd), ...reportProblems(spec, { containerd, buildah })]
      if (why.has(id)) expect(problems, `no exception any more: ${why.get(id)}`).not.toEqual([])
      else expect(problems).toEqual([])
    },
  )

  test('exceptions are about cases that there are', () => {
    const known = new Set(CASES.map(({ id }) => id))
    expect([...why.keys()].filter((id) => !known.has(id))).toEqual([])
  })
})

function resultOf(name: string): Measured {
  const result = results.get(name)
  if (result === undefined) throw new Error(`${name} was not run`)
  return result
}

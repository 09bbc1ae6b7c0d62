/** VOLUMEs and users of images whose layers make them hard to find; and that no number of the list is missing. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { resolveIdentity } from '../../../src/bundle/user.ts'
import { ExpectedError } from '../../../src/errors.ts'
import { desiredVolumes } from '../../../src/reconcile/volumes.ts'
import { treeView } from '../../../src/rootfs/tree.ts'
import type { FileTree } from '../../../src/rootfs/types.ts'
import { flatten } from '../../rootfs/flattened.ts'
import { aConfig, anApp } from '../../support/builders.ts'
import type { LayerPart } from '../../support/layer.ts'
import { CASES } from './cases.ts'
import { ELSEWHERE, USER_CASES, VOLUME_CASES } from './image-cases.ts'

function treeOf(parts: readonly LayerPart[]): FileTree {
  return treeView(flatten([parts]).tree, (content, maxBytes, offset) =>
    (content.bytes ?? Buffer.alloc(0)).subarray(offset, offset + maxBytes),
  )
}

test.each(VOLUME_CASES.map((volumeCase) => [volumeCase.id, volumeCase.title, volumeCase] as const))(
  'case %s: %s',
  (_id, _title, { parts, declared, expected }) => {
    const { issues, volumes } = desiredVolumes(anApp({}), aConfig({ volumes: [...declared] }), treeOf(parts))
    const found = [
      ...issues.map(({ reason, message }) => `${reason}: ${message}`),
      ...volumes.map((volume) =>
        volume.path === volume.destination ? volume.path : `${volume.path} at ${volume.destination}`,
      ),
    ]
    expect(found.map((line, at) => shortened(line, expected[at]))).toEqual(expected)
  },
)

test.each(USER_CASES.map((userCase) => [userCase.id, userCase.title, userCase] as const))(
  'case %s: %s',
  (_id, _title, { parts, expected }) => {
    expect(shortened(identityOf(treeOf(parts)), expected)).toBe(expected)
  },
)

function identityOf(tree: FileTree): string {
  try {
    const { uid, gid } = resolveIdentity('app', tree)
    return `${uid}:${gid}`
  } catch (error) {
    if (error instanceof ExpectedError) return `${error.reason}: ${error.message}`
    throw error
  }
}

/** A message that holds the part which a case asks for counts as that part. */
function shortened(line: string, expected: string | undefined): string {
  const [reason = '', part = ''] = expected?.split(': ') ?? []
  return line.startsWith(`${reason}: `) && line.includes(part) ? `${reason}: ${part}` : line
}

describe('the list of nasty cases', () => {
  test('has a case for every number', () => {
    const ids = [...CASES, ...VOLUME_CASES, ...USER_CASES, ...ELSEWHERE].map(({ id }) => id)
    const numbers = new Set(ids.map((id) => Number.parseInt(id)))
    const missing = Array.from({ length: 76 }, (_, at) => at + 1).filter((number) => !numbers.has(number))
    expect(missing).toEqual([])
  })

  test.each(ELSEWHERE)('case $id has its test in $file', ({ id, file, title }) => {
    const source = readFileSync(path.join(import.meta.dirname, '../..', file), 'utf8')
    expect(source).toContain(`test('case ${id}: ${title}'`)
  })
})

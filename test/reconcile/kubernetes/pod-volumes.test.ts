/** A VOLUME behind a link (rule V3): every path that the image declares is a mount, and all of them are one claim. */
import { describe, expect, test } from 'vitest'
import { fieldsOf, itemsOf, textOf } from '../../../src/crd/view.ts'
import { dir, link } from '../../bundle/tree.ts'
import { mountPathIssues } from '../../../src/reconcile/kubernetes/pod-volumes.ts'
import { appOf, desiredOf, type Case } from './rendering.ts'

const FILES = {
  real: dir(),
  'real/inner': dir(),
  alias: link('/real'),
  'deep/er': link('/real'),
}

function mountsOf(volumes: readonly string[], spec: Case['spec'] = {}): readonly string[] {
  const container = appOf({ config: { volumes }, files: FILES, spec })
  return itemsOf(container['volumeMounts']).map((mount) => {
    const { mountPath, name, subPath } = fieldsOf(mount)
    const volume = (textOf(name) ?? '').replace(/^mattermost-/, '').replace(/-[0-9a-f]{8}$/, '')
    return `${textOf(mountPath)} ${volume} ${textOf(subPath) ?? ''}`.trim()
  })
}

describe('mounts of a container', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['no link', ['/real'], ['/real real']],
    ['one link', ['/alias'], ['/real alias', '/alias alias']],
    ['a link and what it leads to', ['/alias', '/real'], ['/real real', '/alias real']],
    ['two links', ['/alias', '/deep/er'], ['/real alias', '/alias alias', '/deep/er alias']],
    [
      'a link to a folder that has another volume below it',
      ['/deep/er', '/real/inner'],
      ['/real deep-er', '/real/inner real-inner', '/deep/er deep-er', '/deep/er/inner real-inner'],
    ],
  ])('%s', (_title, volumes, mounts) => {
    expect(mountsOf(volumes)).toEqual(mounts)
  })

  test('a colon in a link’s path is refused as in any other', () => {
    const issues = mountPathIssues(
      desiredOf({ config: { volumes: ['/a:b'] }, files: { 'a:b': link('/real'), real: dir() } }).volumes,
    )
    expect(issues).toMatchObject([{ reason: 'VolumePathInvalid', path: '/a:b' }])
  })

  test('share the folder of one claim', () => {
    const [straight, alias] = mountsOf(['/alias'], { volumeDefaults: { layout: 'OneClaim' } })
    expect(straight?.replace('/real ', '')).toBe(alias?.replace('/alias ', ''))
  })
})

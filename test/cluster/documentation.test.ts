/** The examples and every resource in the documentation, as a real API server takes them: strictly, nothing dropped. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fieldsOf, textOf } from '../../src/crd/view.ts'
import { pages } from '../architecture/markdown.ts'
import { documentsOf, ROOT } from '../delivery/tools.ts'
import { startControlPlane, type ControlPlane } from './bed/control-plane.ts'
import { isControlPlaneMissing } from './bed/test-cluster.ts'

const DRY_RUN = ['apply', '--dry-run=server', '--validate=strict', '-f', '-']
/** Groups whose CRDs are others'. */
const FOREIGN =
  /^(?:argoproj\.io|kustomize\.toolkit\.fluxcd\.io|monitoring\.coreos\.com|[a-z]+\.toolkit\.fluxcd\.io)\//

interface Resource {
  readonly at: string
  readonly text: string
}

const EXAMPLES: readonly Resource[] = readdirSync(path.join(ROOT, 'examples'), {
  recursive: true,
  encoding: 'utf8',
})
  .filter((name) => name.endsWith('.yaml') && !name.startsWith('monitoring/'))
  .map((name) => ({ at: `examples/${name}`, text: readFileSync(path.join(ROOT, 'examples', name), 'utf8') }))

const BLOCKS: readonly Resource[] = pages()
  .flatMap((page) => page.blocks.map((block) => ({ at: `${page.path}:${block.line}`, ...block })))
  .filter(({ language, text }) => language === 'yaml' && /^kind:/m.test(text))
  .filter(({ text }) => documentsOf(text).every(({ apiVersion }) => !FOREIGN.test(textOf(apiVersion) ?? '')))
  .map(({ at, text }) => ({ at, text }))

const ALL = [...EXAMPLES, ...BLOCKS]

describe.skipIf(await isControlPlaneMissing())('the API server takes', () => {
  let plane: ControlPlane

  beforeAll(async () => {
    plane = await startControlPlane()
    await plane.kubectl(['apply', '--server-side', '-f', path.join(ROOT, 'manifests/crd.yaml')])
    await plane.kubectl(['wait', '--for=condition=Established', 'crd/containerapps.fairlead.dev'])
    const namespaces = ALL.flatMap(({ text }) => documentsOf(text)).map(({ metadata }) =>
      textOf(fieldsOf(metadata)['namespace']),
    )
    for (const namespace of new Set(namespaces))
      if (namespace !== undefined && namespace !== 'default')
        await plane.kubectl(['create', 'namespace', namespace])
  })

  afterAll(async () => {
    await plane[Symbol.asyncDispose]()
  })

  test('something of every sort', () => {
    expect(EXAMPLES.length).toBeGreaterThan(8)
    expect(BLOCKS.length).toBeGreaterThan(8)
  })

  test.each(ALL)('$at', async ({ text }) => {
    const said = await plane.kubectl(DRY_RUN, { input: text })
    expect(said.trim().split('\n')).toHaveLength(documentsOf(text).length)
  })

  test('nothing that is wrong', async () => {
    const wrong = EXAMPLES[0]?.text.replace('spec:', 'spec:\n  imagge: x')
    await expect(plane.kubectl(DRY_RUN, { input: wrong })).rejects.toThrow(/unknown field "spec\.imagge"/)
  })
})

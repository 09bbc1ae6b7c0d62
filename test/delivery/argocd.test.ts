/** Health and actions for Argo CD, run by a real Lua on testdata in the format of its resource_customizations. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { argocdSnippet } from '../../scripts/lib/argocd-snippet.ts'
import { RESOLVE_REQUESTED_AT, RESTART_REQUESTED_AT, ROLLBACK_TO } from '../../src/crd/labels.ts'
import { REASONS } from '../../src/errors.ts'
import { fieldsOf, textOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'
import { isMissing } from '../support/programs.ts'
import { LUA, runLua } from './lua.ts'
import { ROOT } from './tools.ts'

const FOLDER = join(ROOT, 'argocd')
const HEALTH = read('health.lua')

interface HealthTests {
  readonly tests: readonly { readonly healthStatus: Fields; readonly inputPath: string }[]
}

interface ActionTests {
  readonly discoveryTests: readonly { readonly inputPath: string; readonly result: readonly Fields[] }[]
  readonly actionTests: readonly {
    readonly action: string
    readonly inputPath: string
    readonly expectedOutputPath: string
  }[]
}

function read(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8')
}

function parsed(name: string): Fields {
  return fieldsOf(parse(read(name)))
}

const { tests } = parse(read('health_test.yaml')) as HealthTests
const { discoveryTests, actionTests } = parse(read('actions/action_test.yaml')) as ActionTests

describe.skipIf(isMissing(LUA))('health.lua', () => {
  test.each(tests)('$inputPath: $healthStatus.status', async ({ healthStatus, inputPath }) => {
    expect(await runLua(HEALTH, parsed(inputPath))).toEqual(healthStatus)
  })

  test('has a test for each file of testdata', () => {
    const files = readdirSync(join(FOLDER, 'testdata')).map((name) => `testdata/${name}`)
    expect(tests.map(({ inputPath }) => inputPath).toSorted()).toEqual(files.toSorted())
  })

  test.each(REASONS.map((reason) => [reason]))('shows %s when it stalls', async (reason) => {
    const stalled = { type: 'Stalled', status: 'True', reason, message: 'a "quoted" sentence' }
    const resource = { metadata: { generation: 3 }, status: { observedGeneration: 3, conditions: [stalled] } }
    expect(await runLua(HEALTH, resource)).toEqual({
      status: 'Degraded',
      message: `${reason}: a "quoted" sentence`,
    })
  })

  test.each([
    [{ metadata: {} }],
    [{ metadata: { generation: 1 }, status: {} }],
    [{ metadata: { generation: 1 }, status: { observedGeneration: 1, conditions: [] } }],
    [{ metadata: {}, status: { conditions: [{ type: 'Ready', status: 'False' }] } }],
    [{ metadata: {}, status: { conditions: [{ type: 'Stalled', status: 'True' }] } }],
  ])('has an answer for %j', async (resource) => {
    const health = fieldsOf(await runLua(HEALTH, resource))
    expect(['Progressing', 'Degraded']).toContain(health['status'])
    expect(textOf(health['message'])).toMatch(/\w/)
  })
})

describe.skipIf(isMissing(LUA))('actions', () => {
  test.each(discoveryTests)('offered for $inputPath', async ({ inputPath, result }) => {
    const resource = parsed(`actions/${inputPath}`)
    const offered = fieldsOf(await runLua(read('actions/discovery.lua'), resource))
    const named = Object.entries(offered).map(([name, action]) => ({ name, ...fieldsOf(action) }))
    expect(named.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(result)
  })

  test.each(actionTests)('$action of $inputPath', async ({ action, inputPath, expectedOutputPath }) => {
    const resource = parsed(`actions/${inputPath}`)
    const changed = await runLua(read(`actions/${action}/action.lua`), resource)
    expect(changed).toEqual(parsed(`actions/${expectedOutputPath}`))
  })

  test('use the annotations that the controller reads', () => {
    expect(read('actions/resolve/action.lua')).toContain(`"${RESOLVE_REQUESTED_AT}"] = os.date`)
    expect(read('actions/resolve/action.lua')).toContain(`"${ROLLBACK_TO}"] = nil`)
    expect(read('actions/restart/action.lua')).toContain(`"${RESTART_REQUESTED_AT}"] = os.date`)
  })
})

describe('argocd-cm.yaml', () => {
  test('is what "npm run generate" writes', () => {
    expect(read('argocd-cm.yaml')).toBe(argocdSnippet(FOLDER).content)
  })

  test('carries the scripts as they are', () => {
    const data = fieldsOf(parsed('argocd-cm.yaml')['data'])
    expect(data['resource.customizations.health.fairlead.dev_ContainerApp']).toBe(HEALTH)
    const actions = parse(
      textOf(data['resource.customizations.actions.fairlead.dev_ContainerApp']) ?? '',
    ) as Fields
    expect(actions).toEqual({
      'discovery.lua': read('actions/discovery.lua'),
      definitions: ['resolve', 'restart'].map((name) => ({
        name,
        'action.lua': read(`actions/${name}/action.lua`),
      })),
    })
  })
})

/** What the controller may do, held to its word. */
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { GROUP, PLURAL } from '../../src/crd/labels.ts'
import { chartCrd } from '../../src/crd/publish/chart-crd.ts'
import { crdYaml } from '../../src/crd/publish/crd.ts'
import { chartRules, rbacYaml } from '../../src/crd/publish/rbac-files.ts'
import { ROLES } from '../../src/crd/publish/rbac.ts'
import type { Rule } from '../../src/crd/publish/rbac.ts'
import { fieldsOf, itemsOf } from '../../src/crd/view.ts'
import type { Fields } from '../../src/crd/view.ts'

const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection']
/** What the controller itself can come to have: all but what is meant for people. */
const OWN = ROLES.filter(({ scope }) => scope !== 'people')
const UNASKED = OWN.filter(({ scope }) => scope !== 'asked').flatMap(({ rules }) => rules)
const EVERY = ROLES.flatMap(({ rules }) => rules)
const documents = parseAllDocuments(rbacYaml()).map((document) => fieldsOf(document.toJS()))

function wordsOf({ apiGroups = [], resources = [], verbs, nonResourceURLs = [] }: Rule): readonly string[] {
  return [...apiGroups, ...resources, ...verbs, ...nonResourceURLs]
}

/** Verbs that some rule of `rules` gives for `resource`, sorted. */
function verbsFor(rules: readonly Rule[], group: string, resource: string): readonly string[] {
  const verbs = rules
    .filter((rule) => rule.apiGroups?.includes(group) === true && rule.resources?.includes(resource) === true)
    .flatMap((rule) => rule.verbs)
  return [...new Set(verbs)].toSorted()
}

function rulesOf(name: string): readonly Rule[] {
  return ROLES.find((role) => role.name === name)?.rules ?? []
}

describe('roles', () => {
  test('have no wildcards', () => {
    expect(EVERY.length).toBeGreaterThan(15)
    expect(EVERY.filter((rule) => wordsOf(rule).some((word) => word.includes('*')))).toEqual([])
  })

  test('give no rights away and take on nobody else', () => {
    const forbidden = ['escalate', 'bind', 'impersonate', 'approve', 'sign']
    expect(EVERY.filter(({ verbs }) => verbs.some((verb) => forbidden.includes(verb)))).toEqual([])
    expect(EVERY.filter(({ apiGroups = [] }) => apiGroups.includes('rbac.authorization.k8s.io'))).toEqual([])
  })

  test('reach into no pod and no node', () => {
    const resources = EVERY.flatMap((rule) => rule.resources ?? [])
    expect(resources.filter((name) => /^(pods|nodes)\//.test(name))).toEqual([])
  })

  test('say for every rule why it is there', () => {
    expect(EVERY.filter(({ why }) => !/^[A-Z].*[.?]( |$)/.test(why)).map(({ why }) => why)).toEqual([])
  })

  test('read Secrets in one role that is bound nowhere, and only by name', () => {
    expect(verbsFor(UNASKED, '', 'secrets')).toEqual([])
    expect(verbsFor(rulesOf('pull-secrets'), '', 'secrets')).toEqual(['get'])
    const bound = documents
      .filter(({ kind }) => String(kind).endsWith('Binding'))
      .map((binding) => fieldsOf(binding['roleRef'])['name'])
    expect(bound).not.toContain('fairlead-pull-secrets')
    expect(bound).toContain('fairlead-manager')
  })

  test('never write a spec of the user', () => {
    const writable = OWN.flatMap(({ rules }) => rules)
      .filter((rule) => rule.apiGroups?.includes(GROUP) === true)
      .filter((rule) => rule.verbs.some((verb) => WRITES.includes(verb)))
    expect(writable.map(({ resources, verbs }) => [resources, verbs])).toEqual([
      [[`${PLURAL}/status`], ['patch']],
    ])
  })

  test.each([
    ['', 'persistentvolumeclaims', ['create', 'get', 'list', 'patch', 'watch']],
    ['', 'persistentvolumes', []],
    ['', 'pods', ['create', 'delete', 'get', 'list', 'watch']],
    ['', 'services', ['create', 'delete', 'get', 'list', 'patch', 'watch']],
    ['', 'serviceaccounts', ['get']],
    ['', 'configmaps', []],
    ['apps', 'statefulsets', ['create', 'delete', 'get', 'list', 'patch', 'watch']],
    ['apps', 'deployments', ['create', 'delete', 'get', 'list', 'patch', 'watch']],
    ['events.k8s.io', 'events', ['create', 'list', 'patch']],
    [GROUP, PLURAL, ['get', 'list', 'watch']],
    ['', 'nodes', []],
    ['', 'namespaces', []],
    ['storage.k8s.io', 'storageclasses', []],
  ])('let the manager do with %s %s: %j', (group, resource, verbs) => {
    expect(verbsFor(rulesOf('manager'), group, resource)).toEqual(verbs)
  })

  test('read what is not in a namespace by a role of its own', () => {
    const reader = rulesOf('cluster-reader')
    expect(reader.flatMap(({ resources = [] }) => resources).toSorted()).toEqual([
      'namespaces',
      'nodes',
      'storageclasses',
    ])
    expect(new Set(reader.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list', 'watch']))
  })

  test('have Leases in the own namespace only', () => {
    const withLeases = ROLES.filter(
      ({ rules }) => verbsFor(rules, 'coordination.k8s.io', 'leases').length > 0,
    )
    expect(withLeases.map(({ name, scope }) => [name, scope])).toEqual([['leader-election', 'own']])
  })
})

describe('manifests/rbac.yaml', () => {
  test('has every role with its rules, and none beyond', () => {
    const roles = documents.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
    const expected = ROLES.map(({ name, rules }) => [`fairlead-${name}`, rules.map(withoutWhy)])
    expect(roles.map((role) => [fieldsOf(role['metadata'])['name'], role['rules']])).toEqual(expected)
  })

  test('binds nothing to people or groups', () => {
    const subjects = documents.flatMap((document) => itemsOf(document['subjects'])).map(fieldsOf)
    expect(new Set(subjects.map(({ kind }) => kind))).toEqual(new Set(['ServiceAccount']))
  })
})

describe('the chart', () => {
  test('has a template of rules for every role', () => {
    const names = [...chartRules().matchAll(/define "fairlead\.rules\.([a-z-]+)"/g)].map(([, name]) => name)
    expect(names).toEqual(ROLES.map(({ name }) => name))
  })

  test('has the whole CRD, and nothing in it that Helm would take for its own', () => {
    expect(crdYaml()).not.toContain('{{')
    const template = chartCrd()
    for (const line of crdYaml().split('\n').slice(1)) expect(template).toContain(line)
  })
})

function withoutWhy({ why: _why, ...fields }: Rule): Fields {
  return fields
}

import { afterEach, describe, expect, test, vi } from 'vitest'
import type { KubeObject } from '../../../../src/reconcile/kubernetes/types.ts'
import { appCredentials } from '../../../../src/engine/kubernetes/images/app-credentials.ts'
import { recentSecrets } from '../../../../src/engine/kubernetes/images/recent-secrets.ts'
import { clusterSecretReader } from '../../../../src/engine/kubernetes/images/secret-reader.ts'
import { SECRETS, SERVICE_ACCOUNTS } from '../../../../src/engine/kubernetes/resources.ts'
import { ExpectedError } from '../../../../src/errors.ts'
import { anApp } from '../../../support/builders.ts'
import { failureOf } from '../../../support/expected-error.ts'
import { MemoryKube, type MemoryCall } from '../../../support/memory-kube.ts'

const signal = new AbortController().signal
const BY = { fieldManager: 'test' }
const CONTROLLER = { namespace: 'fairlead-system', serviceAccount: 'fairlead' }

function dockerJson(auths: Readonly<Record<string, string>>): string {
  const entries = Object.entries(auths).map(([key, user]) => [
    key,
    { username: user, password: `${user}-pw` },
  ])
  return JSON.stringify({ auths: Object.fromEntries(entries) })
}

function secret(name: string, auths: Readonly<Record<string, string>>, namespace = 'chat'): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(dockerJson(auths)).toString('base64') },
  }
}

function account(name: string, ...secrets: readonly string[]): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: 'chat' },
    imagePullSecrets: secrets.map((each) => ({ name: each })),
  }
}

async function cluster(
  objects: readonly KubeObject[],
  before?: (call: MemoryCall) => void,
): Promise<MemoryKube> {
  const kube = new MemoryKube(before === undefined ? {} : { before })
  for (const object of objects)
    await kube.create(object.kind === 'Secret' ? SECRETS : SERVICE_ACCOUNTS, object, BY)
  kube.calls.length = 0
  return kube
}

async function users(kube: MemoryKube, spec: object, repository = 'team/app') {
  const found = await appCredentials(anApp({ ...spec }), clusterSecretReader(kube, CONTROLLER), signal)
  const { credentials, problems } = await found.keychain.find('example.com', repository, signal)
  return { ...found, users: credentials.map(({ username }) => username), problems }
}

function forbid(plural: string, name?: string) {
  return (call: MemoryCall): void => {
    if (call.verb === 'get' && call.plural === plural && (name === undefined || call.name === name))
      throw new ExpectedError('ClusterForbidden', 'no', { retry: 'backoff' })
  }
}

describe('the credentials of an app', () => {
  const objects = [
    secret('one', { 'example.com': 'wide', 'other.example.com': 'other' }),
    secret('two', { 'example.com/team': 'narrow', '*.com': 'pattern' }),
    secret('mine', { 'example.com': 'of-account' }),
    secret('one', { 'example.com': 'foreign' }, 'elsewhere'),
    {
      ...secret('old', {}),
      type: 'kubernetes.io/dockercfg',
      data: { '.dockercfg': Buffer.from('{"example.com":{"auth":"bGVnYWN5OnB3"}}').toString('base64') },
    },
    { ...secret('opaque', {}), type: 'Opaque' },
    account('default', 'mine', 'gone'),
    account('robot', 'old', 'opaque'),
  ]

  test.each<[string, object, readonly string[]]>([
    [
      'are all that match, the narrowest first',
      { pullSecrets: [{ name: 'one' }, { name: 'two' }] },
      ['narrow', 'wide', 'pattern'],
    ],
    ['may be of the old type', { pullSecrets: [{ name: 'old' }] }, ['legacy']],
    ["are the default account's when the app names none", {}, ['of-account']],
    [
      'are those of the account that the overlay names',
      { podTemplate: { spec: { serviceAccountName: 'robot' } } },
      ['legacy'],
    ],
    [
      'are none for an account that is not there',
      { podTemplate: { spec: { serviceAccountName: 'nobody' } } },
      [],
    ],
    [
      'are those of the overlay, too',
      {
        pullSecrets: [{ name: 'one' }],
        podTemplate: { spec: { imagePullSecrets: [{ name: 'two' }, {}, { name: '../x' }] } },
      },
      ['narrow', 'wide', 'pattern'],
    ],
  ])('%s', async (_, spec, expected) => {
    expect((await users(await cluster(objects), spec)).users).toEqual(expected)
  })

  test('are never asked for by what can be no name', async () => {
    const kube = await cluster(objects)
    const imagePullSecrets = [{ name: '../one' }, { name: 7 }, null, { name: 'one' }]
    const found = await users(kube, { podTemplate: { spec: { imagePullSecrets } } })
    expect([found.users, found.problems]).toEqual([['wide'], []])
    expect(kube.calls.map(({ name }) => name)).toEqual(['one'])
    await users(kube, { podTemplate: { spec: { serviceAccountName: '../../x' } } })
    expect(kube.calls.map(({ name }) => name)).not.toContain('../../x')
  })

  test("leave the account's out as soon as a pod has its own, as admission does", async () => {
    const kube = await cluster(objects)
    expect((await users(kube, { pullSecrets: [{ name: 'two' }] })).users).toEqual(['narrow', 'pattern'])
    expect(kube.calls.map(({ verb, namespace, name }) => `${verb} ${namespace}/${name}`)).toEqual([
      'get chat/two',
    ])
  })

  test('pass over a missing secret, but remember it', async () => {
    const found = await users(await cluster(objects), { pullSecrets: [{ name: 'one' }, { name: 'gone' }] })
    expect(found.users).toEqual(['wide'])
    expect(found.problems).toEqual(['there is no Secret gone in namespace chat'])
    expect(found.warnings).toMatchObject([{ reason: 'PullSecretInvalid', path: 'spec.pullSecrets[1].name' }])
  })

  test('pass over what an account brings and nobody can use, without a warning', async () => {
    const found = await users(await cluster(objects), {
      podTemplate: { spec: { serviceAccountName: 'robot' } },
    })
    expect(found.problems).toEqual([expect.stringMatching(/^pull secret opaque has type Opaque/)])
    expect(found.warnings).toEqual([])
    expect((await users(await cluster(objects), {})).problems).toEqual([
      'there is no Secret gone in namespace chat',
    ])
  })

  test('refuse a secret of the app that holds no credentials', async () => {
    const kube = await cluster(objects)
    const failing = users(kube, { pullSecrets: [{ name: 'opaque' }] })
    await expect(failing).rejects.toMatchObject({
      reason: 'PullSecretInvalid',
      path: 'spec.pullSecrets[0].name',
    })
  })

  test('print the missing rule as commands that grant it', async () => {
    const kube = await cluster(objects, forbid('secrets'))
    expect(await failureOf(() => users(kube, { pullSecrets: [{ name: 'one' }] }))).toBe(
      'PullSecretForbidden: the controller may not read the pull secret one in namespace chat; allow it with: ' +
        'kubectl create role fairlead-pull-one --verb=get --resource=secrets --resource-name=one -n chat && ' +
        'kubectl create rolebinding fairlead-pull-one --role=fairlead-pull-one --serviceaccount=fairlead-system:fairlead -n chat',
    )
  })

  test('grant an account with the secrets that it may name', async () => {
    const { forbidden } = await users(await cluster(objects, forbid('serviceaccounts')), {})
    expect(forbidden?.message).toBe(
      'the controller may not read the service account default in namespace chat; allow it with: ' +
        'kubectl create role fairlead-pull-secrets --verb=get --resource=serviceaccounts,secrets -n chat && ' +
        'kubectl create rolebinding fairlead-pull-secrets --role=fairlead-pull-secrets --serviceaccount=fairlead-system:fairlead -n chat',
    )
  })

  test('never let a name become more than a word of a command', async () => {
    const kube = await cluster(objects, forbid('secrets'))
    const reader = clusterSecretReader(kube, { namespace: 'fairlead-system', serviceAccount: 'a$(b)' })
    const message = await failureOf(() => reader.readSecret('chat', 'x; rm -rf \u001b', signal))
    expect(message).toContain('the pull secret x; rm -rf \\u001b in')
    expect(message.slice(message.indexOf('kubectl'))).toBe(
      'kubectl create role fairlead-pull-NAME --verb=get --resource=secrets --resource-name=NAME -n chat && ' +
        'kubectl create rolebinding fairlead-pull-NAME --role=fairlead-pull-NAME --serviceaccount=fairlead-system:NAME -n chat',
    )
  })

  test.each([
    ['the account', 'serviceaccounts'],
    ['a secret of the account', 'secrets'],
  ])('go without %s when it may not be read: public images need none', async (_, plural) => {
    const found = await users(await cluster(objects, forbid(plural)), {})
    expect(found.users).toEqual([])
    expect(found.forbidden).toMatchObject({ reason: 'PullSecretForbidden', retry: 'backoff' })
  })

  test('pass other failures of the API server on', async () => {
    const down = new MemoryKube({
      before: () => {
        throw new ExpectedError('ClusterUnavailable', 'down', { retry: 'backoff' })
      },
    })
    await expect(users(down, {})).rejects.toMatchObject({ reason: 'ClusterUnavailable' })
    await expect(users(down, { pullSecrets: [{ name: 'one' }] })).rejects.toMatchObject({
      reason: 'ClusterUnavailable',
    })
  })

  test('are never shown', async () => {
    const found = await users(await cluster(objects), { pullSecrets: [{ name: 'one' }, { name: 'gone' }] })
    expect(JSON.stringify([found.warnings, found.problems, found.forbidden])).not.toMatch(/-pw/)
  })
})

describe('recently read secrets', () => {
  afterEach(() => void vi.useRealTimers())

  test('are asked for once by many apps, and again when their time is over', async () => {
    let nowMs = 0
    const kube = await cluster([secret('one', { 'example.com': 'a' }), account('default', 'one')])
    const reader = recentSecrets(clusterSecretReader(kube, CONTROLLER), () => nowMs)
    await Promise.all([1, 2, 3].map(() => reader.readSecret('chat', 'one', signal)))
    await reader.readServiceAccount('chat', 'default', signal)
    await reader.readServiceAccount('chat', 'default', signal)
    expect(await reader.readSecret('elsewhere', 'one', signal)).toBeUndefined()
    expect(kube.calls.length).toBe(3)
    nowMs = 60_000
    await reader.readSecret('chat', 'one', signal)
    expect(kube.calls.length).toBe(4)
    reader.forget()
  })

  test('do not keep a failure', async () => {
    let fails = true
    const kube = await cluster([], () => {
      if (fails) throw new ExpectedError('ClusterUnavailable', 'down', { retry: 'backoff' })
    })
    const reader = recentSecrets(clusterSecretReader(kube, CONTROLLER), () => 0)
    await expect(reader.readSecret('chat', 'one', signal)).rejects.toMatchObject({
      reason: 'ClusterUnavailable',
    })
    fails = false
    expect(await reader.readSecret('chat', 'one', signal)).toBeUndefined()
    reader.forget()
  })

  test('are dropped although nobody asks again', async () => {
    vi.useFakeTimers()
    const reader = recentSecrets(
      {
        readSecret: () => Promise.resolve({ name: 'one', type: 'x', data: {} }),
        readServiceAccount: () => Promise.resolve([]),
      },
      Date.now,
    )
    await reader.readSecret('chat', 'one', signal)
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(61_000)
    expect(vi.getTimerCount()).toBe(0)
  })
})

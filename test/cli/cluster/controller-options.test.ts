import { describe, expect, test } from 'vitest'
import { clusterControllerOptions } from '../../../src/cli/cluster/controller-options.ts'
import { addressOf } from '../../../src/cli/listen-address.ts'
import { OptionValues } from '../../../src/cli/option-values.ts'

function options(values: Record<string, unknown> = {}, env: Record<string, string> = {}) {
  const call = { args: [], options: new OptionValues({ preflightImage: 'example.com/fairlead', ...values }) }
  return clusterControllerOptions({ env }, call, 'host')
}

test('with nothing but its image serves all namespaces, alone', () => {
  expect(options()).toEqual({
    logLevel: 'info',
    kubeconfig: undefined,
    context: undefined,
    scope: { namespaces: undefined, labelSelector: undefined },
    preflightImage: 'example.com/fairlead',
    preflightPullSecrets: [],
    defaultVolumeSize: '10Gi',
    leaderElect: false,
    leaderNamespace: undefined,
    leaseName: 'fairlead-controller',
    health: { host: '', port: 8081 },
    metrics: undefined,
    metricsAuth: false,
    registriesConfig: undefined,
    credentialProviders: undefined,
    workers: 16,
    instance: 'host',
    serviceAccount: 'fairlead-controller',
  })
})

test('a pod is told its names by the downward API', () => {
  expect(options({}, { POD_NAME: 'fairlead-0', POD_SERVICE_ACCOUNT: 'sa' })).toMatchObject({
    instance: 'fairlead-0',
    serviceAccount: 'sa',
  })
})

test('controllers of different scopes have different Leases', () => {
  const names = [options(), options({ namespace: 'a' }), options({ watchLabelSelector: 'shard=a' })].map(
    ({ leaseName }) => leaseName,
  )
  expect(new Set(names).size).toBe(3)
})

describe('an address', () => {
  test.each([
    [':8081', { host: '', port: 8081 }],
    ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['0', undefined],
  ])('%s', (text, expected) => {
    expect(addressOf(text, '--x')).toEqual(expected)
  })

  test.each(['', '8081', ':65536', '::1:80', 'a:b', ':80/x', 'http://a:80'])('refuses %j', (text) => {
    expect(() => addressOf(text, '--x')).toThrow('must be an address')
  })
})

describe('refuses', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['no image', { preflightImage: undefined }, 'names no image'],
    ['a size that is none', { defaultVolumeSize: 'big' }, 'must be a size'],
    ['a size of nothing', { defaultVolumeSize: '0' }, 'must be a size'],
    ['no workers', { workers: '0' }, 'must be from 1 to 1000'],
    ['a namespace that cannot be', { namespace: 'a,B' }, 'cannot be'],
    ['a selector without sense', { watchLabelSelector: '=a' }, 'no valid label'],
    ['plugins without their folder', { credentialProviderConfig: 'f' }, 'needs the other one'],
    ['a folder without plugins', { credentialProviderBinDir: 'f' }, 'needs the other one'],
  ])('%s', (_what, values, message) => {
    expect(() => options(values)).toThrow(message)
  })
})

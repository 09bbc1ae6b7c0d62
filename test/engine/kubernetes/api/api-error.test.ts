import { describe, expect, test } from 'vitest'
import { eventFailure, failureOf } from '../../../../src/engine/kubernetes/api/api-error.ts'
import { attemptOf } from '../../../../src/engine/kubernetes/api/client.ts'
import type { Attempt } from '../../../../src/engine/kubernetes/api/missing-rule.ts'
import { PODS, SERVICES, STATEFUL_SETS } from '../../../../src/engine/kubernetes/resources.ts'

const POD = attemptOf('create', PODS, 'x', 'a')

interface Said {
  readonly reason?: string
  readonly message?: string
  readonly details?: unknown
}

function failed(attempt: Attempt, status: number, said: Said | string = {}) {
  const body = typeof said === 'string' ? said : JSON.stringify({ kind: 'Status', code: status, ...said })
  return failureOf(attempt, { status, body, retryAfterMs: undefined })
}

// Messages are those of a Kubernetes 1.36 API server.
describe('an answer of the API server', () => {
  test.each<readonly [string, number, Said | string, string, string]>([
    [
      'expired credentials',
      401,
      { reason: 'Unauthorized', message: 'Unauthorized' },
      'ClusterForbidden',
      'backoff',
    ],
    [
      'a missing rule',
      403,
      {
        reason: 'Forbidden',
        message:
          'pods "a" is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "x"',
      },
      'ClusterForbidden',
      'backoff',
    ],
    ['a bare 403', 403, '', 'ClusterForbidden', 'backoff'],
    [
      'a quota',
      403,
      {
        message: 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=1',
      },
      'QuotaExceeded',
      'backoff',
    ],
    [
      'Pod Security',
      403,
      { message: 'pods "a" is forbidden: violates PodSecurity "restricted:latest": …' },
      'ClusterRejected',
      'backoff',
    ],
    ['an absent object', 404, { reason: 'NotFound', details: { name: 'a' } }, 'NotFound', 'backoff'],
    ['a name that is taken', 409, { reason: 'AlreadyExists' }, 'NameConflict', 'terminal'],
    ['an old version', 409, { reason: 'Conflict' }, 'ClusterConflict', 'backoff'],
    [
      'another uid in an apply',
      422,
      { details: { causes: [{ field: 'metadata.uid', message: 'field is immutable' }] } },
      'ClusterConflict',
      'backoff',
    ],
    ['nonsense', 400, { reason: 'BadRequest' }, 'ClusterRejected', 'terminal'],
    ['an invalid field', 422, { reason: 'Invalid' }, 'ClusterRejected', 'terminal'],
    ['too large', 413, '', 'ClusterRejected', 'terminal'],
    [
      'a field that apply does not know',
      500,
      {
        message:
          'failed to create typed patch object (x/b; /v1, Kind=ConfigMap): .dta: field not declared in schema',
      },
      'ClusterRejected',
      'terminal',
    ],
    [
      'a webhook that is down',
      500,
      { message: 'failed calling webhook "w"' },
      'ClusterUnavailable',
      'backoff',
    ],
    ['load', 429, '', 'ClusterUnavailable', 'backoff'],
    ['a gateway', 502, '<html>Bad Gateway</html>', 'ClusterUnavailable', 'backoff'],
    ['a redirect', 302, '', 'ClusterUnavailable', 'backoff'],
    ['history that is gone', 410, { reason: 'Expired' }, 'ClusterUnavailable', 'backoff'],
  ])('%s', (_what, status, said, reason, retry) => {
    const error = failed(POD, status, said)
    expect({ reason: error.reason, retry: error.retry, status: error.status }).toEqual({
      reason,
      retry,
      status,
    })
  })

  test('names every field of a 422 once, and the first as its path', () => {
    const cause = { field: 'spec.ports[0].port', reason: 'FieldValueInvalid', message: 'must be less' }
    const other = { field: 'metadata.name', reason: 'FieldValueInvalid', message: 'must be lower case' }
    const error = failed(attemptOf('create', SERVICES, 'x', 'A'), 422, {
      reason: 'Invalid',
      message: 'long',
      details: { causes: [cause, cause, other] },
    })
    expect(error.message).toBe(
      'the API server answered 422 to create Service x/A: spec.ports[0].port: must be less; metadata.name: must be lower case',
    )
    expect(error.path).toBe('spec.ports[0].port')
    expect(error.causes).toEqual([cause, cause, other])
  })

  test.each<readonly [string, Attempt, string, string]>([
    [
      'as the request was',
      attemptOf('patch', STATEFUL_SETS, 'x', 'b', 'status'),
      '',
      '{apiGroups: ["apps"], resources: ["statefulsets/status"], verbs: ["patch"]} in namespace x',
    ],
    [
      'as the server says it, where that is another verb',
      attemptOf('patch', PODS, 'x', 'b'),
      'User "u" cannot create resource "pods" in API group "" in the namespace "x"',
      '{apiGroups: [""], resources: ["pods"], verbs: ["create"]} in namespace x',
    ],
    [
      'for all namespaces',
      attemptOf('list', PODS),
      'User "u" cannot list resource "pods" in API group "" at the cluster scope',
      '{apiGroups: [""], resources: ["pods"], verbs: ["list"]} in a ClusterRole',
    ],
    [
      'of a path inside a namespace',
      { verb: 'get', what: '/api/v1/namespaces/x/pods/y/log' },
      'User "u" cannot get resource "pods/log" in API group "" in the namespace "x"',
      '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]} in namespace x',
    ],
    [
      'of a path that is no resource',
      { verb: 'get', what: '/metrics' },
      'User "u" cannot get path "/metrics"',
      '{nonResourceURLs: ["/metrics"], verbs: ["get"]}',
    ],
  ])('prints the missing rule %s', (_how, attempt, message, rule) => {
    const error = failed(attempt, 403, { message })
    expect(error.message).toContain(`this rule is missing: ${rule}`)
  })

  test('tells an unknown kind from an absent object', () => {
    expect(failed(POD, 404, '404 page not found').message).toContain('does not know Pod x/a')
    expect(
      failed(POD, 404, { reason: 'NotFound', message: 'no a', details: { name: 'a' } }).message,
    ).toContain('no a')
  })

  test('lets no control character into a message', () => {
    expect(failed(POD, 500, { message: 'a\u001b[31mb\nc' }).message).toContain('a\\u001b[31mb\\u000ac')
  })

  test.each(['', 'null', '[]', '"x"', '{"details":7,"message":{}}', '{"details":{"causes":[null,3]}}', '{'])(
    'makes an error of any body: %s',
    (body) => expect(failed(POD, 500, body).reason).toBe('ClusterUnavailable'),
  )

  test('reads the wait that a Status asks for', () => {
    const status = { kind: 'Status', code: 429, details: { retryAfterSeconds: 7 } }
    const error = eventFailure(POD, status)
    expect({ ms: error.retryAfterMs, status: error.status, isEvent: error.isEvent }).toEqual({
      ms: 7000,
      status: 429,
      isEvent: true,
    })
  })
})

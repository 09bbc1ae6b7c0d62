/**
 * What an absent field means. The schema's descriptions say the same in words; nothing of this is ever written into
 * the user's object.
 */
export const DEFAULTS = {
  namespace: 'default',
  resolve: 'OnImageChange',
  resolveIntervalMs: 24 * 60 * 60 * 1000,
  volume: {
    size: '1Gi',
    accessModes: ['ReadWriteOnce'],
    exec: 'Required',
    seed: 'IfEmpty',
    retain: 'Retain',
    medium: 'Disk',
    readOnly: false,
    layout: 'ClaimPerPath',
  },
  fileMode: 0o644,
  protocol: 'TCP',
  serviceType: 'ClusterIP',
  hook: { stage: 'StartContainer', timeoutSeconds: 5 },
  probe: {
    initialDelaySeconds: 0,
    periodSeconds: 10,
    timeoutSeconds: 1,
    successThreshold: 1,
    failureThreshold: 3,
    httpPath: '/',
    httpScheme: 'HTTP',
  },
  replicas: 1,
  terminationGracePeriodSeconds: 30,
  seccomp: 'RuntimeDefault',
} as const

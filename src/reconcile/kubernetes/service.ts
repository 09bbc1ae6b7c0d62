/** The Service in front of an app: it has the app's name, for ever, so that Ingress and Gateway can lean on it. */
import { INPUTS } from '../../crd/labels.ts'
import type { App } from '../../crd/types.ts'
import { compactFields, kubeObject } from './compact.ts'
import { serviceInputsHash } from './inputs.ts'
import { childLabels, ownerReferences, selectorLabels } from './metadata.ts'
import type { KubeObject } from './types.ts'

/** undefined without ports, and where the user wants none. */
export function renderService(app: App): KubeObject | undefined {
  const { ports = [], service } = app.spec
  if (ports.length === 0 || service?.enabled === false) return undefined
  const { name, namespace } = app.metadata
  return kubeObject(
    { apiVersion: 'v1', kind: 'Service' },
    {
      name,
      namespace,
      labels: childLabels(name, 'app'),
      annotations: { ...service?.annotations, [INPUTS]: serviceInputsHash(app) },
      ownerReferences: ownerReferences(app),
    },
    compactFields({
      type: service?.type ?? 'ClusterIP',
      loadBalancerClass: service?.loadBalancerClass,
      selector: selectorLabels(name),
      ports: ports.map(({ name: portName, port, protocol = 'TCP' }) => ({
        name: portName,
        port,
        protocol,
        targetPort: port,
      })),
    }),
  )
}

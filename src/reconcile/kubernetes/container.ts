/** The container `app`. Words are the user's own: a kubelet expands `$(NAME)` itself, so nothing is expanded here. */
import type { Fields } from '../../crd/view.ts'
import type { App, ResourcesSpec } from '../../crd/types.ts'
import type { Desired } from '../types.ts'
import { compactFields } from './compact.ts'
import { pinnedImage } from './image-name.ts'
import { containerSecurity } from './pod-security.ts'
import { volumeMounts } from './pod-volumes.ts'
import type { ClusterOptions } from './types.ts'

export const APP_CONTAINER = 'app'

export function appContainer(desired: Desired, options: ClusterOptions): Fields {
  const { spec } = desired.app
  return compactFields({
    name: APP_CONTAINER,
    image: pinnedImage(desired.image),
    imagePullPolicy: 'IfNotPresent',
    command: spec.command,
    args: spec.args,
    workingDir: spec.workingDir,
    env: spec.env,
    envFrom: spec.envFrom,
    ports: containerPorts(desired.app),
    resources: quantities(spec.resources),
    startupProbe: spec.probes?.startup,
    livenessProbe: spec.probes?.liveness,
    readinessProbe: spec.probes?.readiness,
    securityContext: containerSecurity(desired, options.podSecurity),
    volumeMounts: volumeMounts(desired),
  })
}

/** The protocol is part of the key that server-side apply tells ports by, so it is always said. */
function containerPorts({ spec }: App): readonly Fields[] {
  return (spec.ports ?? []).map(({ name, port, hostPort, protocol = 'TCP' }) => ({
    name,
    containerPort: port,
    hostPort,
    protocol,
  }))
}

/** As text: a quantity that was a number comes back from the API server as text. */
function quantities(resources: ResourcesSpec | undefined): Fields {
  const texts = (list: Readonly<Record<string, string | number>> | undefined) =>
    Object.fromEntries(Object.entries(list ?? {}).map(([name, value]) => [name, String(value)]))
  return { requests: texts(resources?.requests), limits: texts(resources?.limits) }
}

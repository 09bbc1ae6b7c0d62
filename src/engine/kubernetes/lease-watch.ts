/** One Lease, told whenever it changes: candidates need not ask for it every other second. */
import type { KubeObject } from '../../reconcile/kubernetes/types.ts'
import type { InformerItem } from './api/types.ts'
import type { MakeInformer } from './children.ts'
import type { LeaderOptions } from './leader.ts'
import { LEASES } from './resources.ts'

interface LeaseItem extends InformerItem {
  readonly object: KubeObject
}

export function leaseWatch(
  makeInformer: MakeInformer,
  namespace: string,
  name: string,
): NonNullable<LeaderOptions['watchLease']> {
  return (onChange) => {
    const informer = makeInformer<LeaseItem>({
      type: LEASES,
      namespace,
      fieldSelector: `metadata.name=${name}`,
      project: (object) => ({
        key: `${namespace}/${object.metadata.name}`,
        uid: object.metadata.uid ?? '',
        resourceVersion: object.metadata.resourceVersion ?? '',
        object,
      }),
      onChange: ({ kind, item }) => onChange(kind === 'deleted' ? undefined : item.object),
    })
    informer.start()
    return () => void informer.stop()
  }
}

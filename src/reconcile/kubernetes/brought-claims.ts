/**
 * Claims that a resource names: under `source.claimName`, and in the pod template that is laid over ours. Read from it as
 * it is: what runs has its claims all the same.
 */
import { fieldsOf, itemsOf, textOf } from '../../crd/view.ts'

/** As the API server allows it; what can be no object's name is not asked for. */
const OBJECT_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

/** Each name once, in the order of the resource. */
export function broughtClaims(resource: unknown): readonly string[] {
  const spec = fieldsOf(fieldsOf(resource)['spec'])
  const sources = itemsOf(spec['volumes']).map((volume) =>
    textOf(fieldsOf(fieldsOf(volume)['source'])['claimName']),
  )
  const overlaid = overlayClaims(spec['podTemplate']).map(({ name }) => name)
  const names = [...sources, ...overlaid].filter((name) => name !== undefined)
  return [...new Set(names.filter((name) => OBJECT_NAME.test(name)))]
}

/** Claims that a pod template's own volumes are on. `readOnly`: not even a container that asks for it may write. */
export function overlayClaims(
  podTemplate: unknown,
): readonly { readonly name: string; readonly readOnly?: true }[] {
  return itemsOf(fieldsOf(fieldsOf(podTemplate)['spec'])['volumes']).flatMap((volume) => {
    const source = fieldsOf(fieldsOf(volume)['persistentVolumeClaim'])
    const name = textOf(source['claimName'])
    if (name === undefined || name === '') return []
    return [{ name, ...(source['readOnly'] === true ? { readOnly: true } : {}) }]
  })
}

/** Claims that a resource names under `source.claimName`. Read from it as it is: what runs has its claims all the same. */
import { fieldsOf, itemsOf, textOf } from '../../crd/view.ts'

/** Each name once, in the order of the resource. */
export function broughtClaims(resource: unknown): readonly string[] {
  const volumes = itemsOf(fieldsOf(fieldsOf(resource)['spec'])['volumes'])
  const names = volumes.map((volume) => textOf(fieldsOf(fieldsOf(volume)['source'])['claimName']))
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as readonly string[]
}

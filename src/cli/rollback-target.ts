/** Which digest a rollback goes to. Pure. */
import { ExpectedError, printable } from '../errors.ts'
import { isDigest } from '../image/digest.ts'
import type { StoredApp } from '../reconcile/ports.ts'
import { shortName } from './app-view.ts'

/** The newest digest of the history, or the one that `wanted` is or begins. */
export function rollbackTarget(stored: StoredApp, wanted: string | undefined): string {
  const history = stored.status?.image?.history ?? []
  const name = shortName(stored.key)
  const known = history.map(({ digest }) => digest)
  if (wanted === undefined) {
    const [newest] = known
    if (newest === undefined)
      throw new ExpectedError('NotFound', `${name} has no earlier digest to go back to`, {
        path: 'status.image.history',
      })
    return newest
  }
  // A whole digest may be older than the history: the source decides whether it still has it.
  if (isDigest(wanted)) return wanted
  const found = known.filter(
    (digest) => digest.startsWith(wanted) || digest.split(':')[1]?.startsWith(wanted) === true,
  )
  const [only] = found
  if (only !== undefined && found.length === 1 && wanted !== '') return only
  const choices = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`
  throw new ExpectedError(
    'NotFound',
    `${JSON.stringify(printable(wanted))} names ${found.length === 0 ? 'no' : 'more than one'} digest of the history of ${name}: ${choices}`,
    {
      path: '--to',
    },
  )
}

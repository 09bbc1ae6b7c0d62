/** `fairlead rollback`: back to a digest that ran before. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../crd/labels.ts'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { ExpectedError, printable } from '../../errors.ts'
import { isDigest } from '../../image/digest.ts'
import type { StoredApp } from '../../reconcile/ports.ts'
import { namedApp } from '../app-name.ts'
import { shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import { digestChange, freshRequest, requestOfApp } from '../request.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'

export const rollback: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  const digest = targetDigest(await requireApp(new LocalAppStore(paths), key), call.options.text('to'))
  const request = freshRequest(context.now())
  return requestOfApp(context, call, {
    paths,
    key,
    annotations: { [RESOLVE_REQUESTED_AT]: request, [ROLLBACK_TO]: digest },
    expect: () => ({ request }),
    say: (before, after) => digestChange(shortName(key), before, after),
  })
}

/** The newest digest of the history, or the one that `wanted` is or begins. */
function targetDigest(stored: StoredApp, wanted: string | undefined): string {
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

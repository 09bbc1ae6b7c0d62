/** `fairlead rebuild`: the user's word that the reference is to be resolved anew. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../crd/labels.ts'
import { namedApp } from '../app-name.ts'
import { shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import { digestChange, freshRequest, requestOfApp } from '../request.ts'
import { statePathsOf } from '../state-folder.ts'

export const rebuild: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const request = freshRequest(context.now())
  return requestOfApp(context, call, {
    paths: statePathsOf(context, call),
    key,
    annotations: { [RESOLVE_REQUESTED_AT]: request, [ROLLBACK_TO]: undefined },
    expect: () => ({ request }),
    say: (before, after) => digestChange(shortName(key), before, after),
  })
}

/** `fairlead rebuild`: the user's word that the reference is to be resolved anew, or need not be any more. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../crd/labels.ts'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { namedApp } from '../app-name.ts'
import { shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import { cancelled, withdrawal } from '../open-request.ts'
import { digestChange, freshRequest, requestOfApp } from '../request.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'

export const rebuild: RunCommand = async (context, call) => {
  if (call.options.flag('cancel')) return cancel(context, call)
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

const cancel: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  const open = withdrawal(await requireApp(new LocalAppStore(paths), key))
  return requestOfApp(context, call, {
    paths,
    key,
    annotations: open.annotations,
    expect: () => ({}),
    waits: false,
    say: (_before, after) => cancelled(shortName(key), open, after.status?.image?.digest),
  })
}

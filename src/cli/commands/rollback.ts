/** `fairlead rollback`: back to a digest that ran before. */
import { RESOLVE_REQUESTED_AT, ROLLBACK_TO } from '../../crd/labels.ts'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { namedApp } from '../app-name.ts'
import { shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import { freshRequest, requestOfApp, rollbackChange } from '../request.ts'
import { requireApp } from '../require-app.ts'
import { rollbackTarget } from '../rollback-target.ts'
import { statePathsOf } from '../state-folder.ts'

export const rollback: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  const digest = rollbackTarget(await requireApp(new LocalAppStore(paths), key), call.options.text('to'))
  const request = freshRequest(context.now())
  return requestOfApp(context, call, {
    paths,
    key,
    annotations: { [RESOLVE_REQUESTED_AT]: request, [ROLLBACK_TO]: digest },
    expect: () => ({ request }),
    say: (before, after) => rollbackChange(shortName(key), before, after),
  })
}

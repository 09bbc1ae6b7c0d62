/** `fairlead restart`: a fresh container of the same digest. */
import { RESTART_REQUESTED_AT } from '../../crd/labels.ts'
import { LocalAppStore } from '../../engine/local/app-store.ts'
import { ExpectedError } from '../../errors.ts'
import { namedApp } from '../app-name.ts'
import { readyOf, shortName } from '../app-view.ts'
import type { RunCommand } from '../command-spec.ts'
import { restartNote, withdrawal } from '../open-request.ts'
import { freshRequest, requestOfApp } from '../request.ts'
import { requireApp } from '../require-app.ts'
import { statePathsOf } from '../state-folder.ts'

export const restart: RunCommand = async (context, call) => {
  const key = namedApp(call)
  const paths = statePathsOf(context, call)
  const stored = await requireApp(new LocalAppStore(paths), key)
  if (readyOf(stored.status)?.reason === 'Suspended') {
    throw new ExpectedError('NotFound', `${shortName(key)} is suspended: it has no container to restart`, {
      path: 'spec.suspend',
    })
  }
  const open = withdrawal(stored)
  return requestOfApp(context, call, {
    paths,
    key,
    annotations: { ...open.annotations, [RESTART_REQUESTED_AT]: freshRequest(context.now()) },
    note: restartNote(shortName(key), open),
    expect: ({ status }) => ({ otherRevisionThan: status?.workload?.revision }),
    say: (_before, after) =>
      `${shortName(key)}: restarted, revision ${after.status?.workload?.revision ?? 'unknown'}`,
  })
}

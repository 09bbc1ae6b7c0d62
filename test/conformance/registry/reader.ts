/** The one who may log in at the list's registries. */
import type { Setup } from './case.ts'
import type { Stage } from './stage.ts'

export const READERS = { reader: 'kit-password-of-reader' }

/** With a password, so that there is something to lose. */
export function withPassword(stage: Stage): Setup {
  return {
    logins: [{ key: stage.registry.host, username: 'reader', password: stage.secret(READERS.reader) }],
  }
}

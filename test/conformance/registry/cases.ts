/** The whole list, in the order of the rules' groups. */
import type { Case } from './case.ts'
import { AUTH_CASES } from './cases/auth.ts'
import { BLOB_CASES } from './cases/blobs.ts'
import { LIST_CASES } from './cases/lists.ts'
import { MANIFEST_CASES } from './cases/manifests.ts'
import { MIRROR_CASES } from './cases/mirrors.ts'
import { PATIENCE_CASES } from './cases/patience.ts'
import { REALM_CASES } from './cases/realms.ts'
import { REDIRECT_CASES } from './cases/redirects.ts'
import { REFERENCE_CASES } from './cases/references.ts'
import { TRANSPORT_CASES } from './cases/transport.ts'

export const CASES: readonly Case[] = [
  ...REFERENCE_CASES,
  ...TRANSPORT_CASES,
  ...REDIRECT_CASES,
  ...PATIENCE_CASES,
  ...AUTH_CASES,
  ...REALM_CASES,
  ...MANIFEST_CASES,
  ...BLOB_CASES,
  ...LIST_CASES,
  ...MIRROR_CASES,
]

/** What requests to one endpoint are made with. */
import type { RegistrySession } from './session.ts'
import type { OnStep } from './steps.ts'
import type { Keychain } from './types.ts'

export interface ClientOptions {
  readonly session: RegistrySession
  readonly keychain: Keychain
  readonly userAgent: string
  readonly onWarning: (text: string) => void
  /** Hears everything that is done, in order. */
  readonly onStep?: OnStep | undefined
}

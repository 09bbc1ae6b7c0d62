/** What every kind of question to a registry needs, from what callers give. */
import type { SourceOptions } from './open.ts'
import type { RegistrySourceOptions } from './registry-source.ts'
import { RegistrySession } from './session.ts'

/** With a session of its own where none is given; its owner closes it. */
export function registryOptions(options: SourceOptions): RegistrySourceOptions {
  const { session, question, onStep } = options
  return {
    session: session ?? ownSession(options),
    ownsSession: session === undefined,
    registries: options.registries,
    keychain: options.keychain,
    userAgent: options.userAgent ?? 'fairlead',
    onWarning: options.onWarning ?? (() => undefined),
    onStep,
    ...(question === undefined ? {} : { question }),
  }
}

function ownSession({ now, random, env }: SourceOptions): RegistrySession {
  return new RegistrySession({
    effects: {
      ...(now === undefined ? {} : { now }),
      ...(random === undefined ? {} : { random }),
      ...(env === undefined ? {} : { env }),
    },
  })
}

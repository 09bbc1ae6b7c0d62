/** Finds an image as the controller would, and keeps what was done on the way: the client's own steps, no second client. */
import type { FairleadConfig } from '../engine/local/config.ts'
import { ExpectedError, type Reason } from '../errors.ts'
import { canonical } from '../image/reference.ts'
import { formatPlatform } from '../image/platform.ts'
import type { Digest, ImageOrigin, Platform, Reference } from '../image/types.ts'
import { openSource } from '../registry/open.ts'
import { RegistrySession } from '../registry/session.ts'
import type { Step } from '../registry/steps.ts'
import type { Keychain } from '../registry/types.ts'
import type { CliContext } from './context.ts'
import { packageVersion } from './package-version.ts'
import { withTagHint } from './repository-questions.ts'

export interface ImageQuestion {
  /** `namespace/name`, where the image is an app's. */
  readonly app?: string
  readonly reference: Reference
  readonly baseDir: string
  readonly platform: Platform
  /** Tells of each pull secret that can't be used, and goes on without. */
  readonly keychain: (onRefused: (problem: ExpectedError) => void) => Promise<Keychain>
  readonly config: Pick<FairleadConfig, 'registries' | 'lenientLayouts'>
}

/** How often a registry may be asked, as it said or showed. */
export interface RegistryState {
  readonly origin: string
  readonly remaining?: number
  readonly limit?: number
  /** RFC 3339. */
  readonly nextTry?: string
  readonly backgroundNextTry?: string
  readonly problem?: string
}

export type ExplainedResult =
  | {
      readonly digest: Digest
      readonly platform: string
      readonly manifestDigest: Digest
      readonly source: ImageOrigin
    }
  | { readonly reason: Reason; readonly message: string }

export interface ExplainedImage {
  readonly app?: string
  readonly reference: string
  readonly canonical: string
  readonly steps: readonly Step[]
  readonly registries: readonly RegistryState[]
  readonly result: ExplainedResult
}

/** Never throws for what the image or its registry does; that is the answer. */
export async function explainImage(context: CliContext, question: ImageQuestion): Promise<ExplainedImage> {
  const steps: Step[] = []
  const session = new RegistrySession({ effects: { now: context.now } })
  try {
    const result = await find(context, question, session, (step) => steps.push(step))
    const { app, reference } = question
    return {
      ...(app === undefined ? {} : { app }),
      reference: reference.original,
      canonical: canonical(reference),
      steps,
      registries: session.facts().map(stateOf),
      result,
    }
  } finally {
    session.close()
  }
}

async function find(
  context: CliContext,
  { reference, baseDir, config: settings, keychain, platform }: ImageQuestion,
  session: RegistrySession,
  onStep: (step: Step) => void,
): Promise<ExplainedResult> {
  const refused: ExpectedError[] = []
  try {
    const options = {
      baseDir,
      registries: settings.registries,
      lenientLayouts: settings.lenientLayouts,
      keychain: await keychain((problem) => {
        refused.push(problem)
        onStep({ kind: 'pull-secret', reason: problem.reason, message: problem.message })
      }),
      userAgent: `fairlead/${packageVersion()}`,
      session,
    }
    const source = openSource(reference, { ...options, onStep })
    const image = await withTagHint(
      context,
      reference,
      () => source.resolve(platform, context.signal),
      // The question for tags is a step as well.
      () => Promise.resolve({ ...options, onStep }),
    )
    const { digest, manifestDigest, config } = image
    if (refused[0] !== undefined) return withoutSecret(refused[0], `is found, ${digest}`)
    return { digest, platform: formatPlatform(config.platform), manifestDigest, source: image.source }
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    if (refused[0] !== undefined)
      return withoutSecret(refused[0], `is not found either, ${error.reason}: ${error.message}`)
    return { reason: error.reason, message: error.message }
  }
}

/** A controller asks nobody before all pull secrets are there: that is the answer, whatever the registry says. */
function withoutSecret({ reason, message }: ExpectedError, found: string): ExplainedResult {
  return { reason, message: `${message}; without it the image ${found}` }
}

function stateOf(fact: ReturnType<RegistrySession['facts']>[number]): RegistryState {
  const { origin, remaining, limit, nextTryMs, backgroundNextTryMs, problem } = fact
  return {
    origin,
    ...(remaining === undefined ? {} : { remaining }),
    ...(limit === undefined ? {} : { limit }),
    ...(nextTryMs === undefined ? {} : { nextTry: new Date(nextTryMs).toISOString() }),
    ...(backgroundNextTryMs === undefined
      ? {}
      : { backgroundNextTry: new Date(backgroundNextTryMs).toISOString() }),
    ...(problem === undefined ? {} : { problem }),
  }
}

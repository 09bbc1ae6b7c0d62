/**
 * The kubelet's credential-provider plugins (credentialprovider.kubelet.k8s.io): a program is asked on standard input
 * and answers with logins for registries. One that fails is a problem for the message, never the end of a pull.
 */
import { parseDuration } from '../../../crd/duration.ts'
import { entriesKeychain, matchScore, parseKey } from '../../../registry/keychain.ts'
import { runFailure, runProgram } from '../../../registry/run-program.ts'
import type { Keychain, KeychainAnswer } from '../../../registry/types.ts'
import { printable } from '../../../errors.ts'
import type { CredentialProvider } from './credential-provider-config.ts'
import { WeightedCache } from './weighted-cache.ts'

const TIMEOUT_MS = 60_000
const MAX_OUTPUT_BYTES = 1 << 20
const MAX_ANSWERS = 1000

/** Of our own environment only what finds programs and the network: nothing of the controller's own secrets. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
]

type Environment = Readonly<Record<string, string | undefined>>

export interface ProviderOptions {
  readonly providers: readonly CredentialProvider[]
  readonly env: Environment
  readonly now: () => number
  readonly timeoutMs?: number
}

interface Answer {
  readonly keychain: Keychain
  readonly untilMs: number
}

interface Question {
  readonly registry: string
  readonly repository: string
}

/** The keychain of all providers whose patterns match, in the file's order. */
export function providerKeychain(options: ProviderOptions): Keychain {
  const all = options.providers.map((provider) => new Provider(provider, options))
  return {
    async find(registry, repository, signal) {
      const matching = all.filter((each) => each.matches(registry, repository))
      const answers = await Promise.all(matching.map((each) => each.find({ registry, repository }, signal)))
      return {
        credentials: answers.flatMap(({ credentials }) => credentials),
        problems: answers.flatMap(({ problems }) => problems),
      }
    },
  }
}

class Provider {
  readonly #provider: CredentialProvider
  readonly #options: ProviderOptions
  readonly #answers = new WeightedCache<Answer>(MAX_ANSWERS)
  /** One question at a time to one program: ten apps of a registry wait for one answer. */
  readonly #asking = new Map<string, Promise<Answer>>()

  constructor(provider: CredentialProvider, options: ProviderOptions) {
    this.#provider = provider
    this.#options = options
  }

  matches(registry: string, repository: string): boolean {
    return this.#provider.matchImages.some(
      (pattern) => matchScore(parseKey(pattern), registry, repository) >= 0,
    )
  }

  async find(question: Question, signal: AbortSignal): Promise<KeychainAnswer> {
    const { name, unsupported } = this.#provider
    if (unsupported !== undefined) return problem(name, unsupported)
    try {
      const { keychain } = this.#remembered(question) ?? (await this.#askOnce(question))
      signal.throwIfAborted()
      return await keychain.find(question.registry, question.repository, signal)
    } catch (error) {
      signal.throwIfAborted()
      return problem(
        name,
        error instanceof AnswerError
          ? error.message
          : `could not be run (${printable(runFailure(error), 60)})`,
      )
    }
  }

  #remembered(question: Question): Answer | undefined {
    for (const key of cacheKeys(question)) {
      const answer = this.#answers.get(key)
      if (answer !== undefined && answer.untilMs > this.#options.now()) return answer
      this.#answers.delete(key)
    }
    return undefined
  }

  #askOnce(question: Question): Promise<Answer> {
    const [key] = cacheKeys(question)
    const asking = this.#asking.get(key) ?? this.#ask(question).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  /** Without the asker's signal: others may wait for the same answer; the time limit ends it. */
  async #ask(question: Question): Promise<Answer> {
    const { program, args, apiVersion, name } = this.#provider
    const image = `${question.registry}/${question.repository}`
    const { code, output } = await runProgram(
      {
        program,
        args,
        env: this.#env(),
        input: JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image }),
        maxOutputBytes: MAX_OUTPUT_BYTES,
        timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS,
      },
      new AbortController().signal,
    )
    if (code !== 0) throw new AnswerError(`failed with exit code ${code}`)
    const { auth, cacheKeyType, cacheMs } = readAnswer(output, this.#provider)
    const entries = Object.entries(auth).map(([key, login]) => ({
      key,
      credential: { label: `credential provider ${name}`, ...login },
    }))
    const answer = { keychain: entriesKeychain(entries), untilMs: this.#options.now() + cacheMs }
    if (cacheMs > 0)
      this.#answers.set(cacheKeys(question)[CACHE_KEY_TYPES.indexOf(cacheKeyType)] ?? '', answer, 1)
    return answer
  }

  #env(): Environment {
    const own = Object.entries(this.#options.env).filter(([name]) => PASSED_ON.includes(name))
    return { ...Object.fromEntries(own), ...this.#provider.env }
  }
}

const CACHE_KEY_TYPES = ['Image', 'Registry', 'Global'] as const

/** By type, in the order in which the kubelet looks. */
function cacheKeys({ registry, repository }: Question): readonly [string, string, string] {
  return [`image ${registry}/${repository}`, `registry ${registry}`, 'global']
}

/** Its text is ours: the output holds secrets and is never shown. */
class AnswerError extends Error {}

interface Login {
  readonly username: string
  readonly password: string
}

interface ReadAnswer {
  readonly auth: Readonly<Record<string, Login>>
  readonly cacheKeyType: (typeof CACHE_KEY_TYPES)[number]
  readonly cacheMs: number
}

function readAnswer(output: string, provider: CredentialProvider): ReadAnswer {
  const { kind, apiVersion, auth, cacheKeyType, cacheDuration } = parseObject(output)
  if (kind !== 'CredentialProviderResponse' || apiVersion !== provider.apiVersion)
    throw new AnswerError(
      `answered something that is no CredentialProviderResponse of ${provider.apiVersion}`,
    )
  const type = CACHE_KEY_TYPES.find((each) => each === cacheKeyType)
  if (type === undefined) throw new AnswerError('answered without cacheKeyType Image, Registry or Global')
  const ms = typeof cacheDuration === 'string' ? parseDuration(cacheDuration) : provider.defaultCacheMs
  // A duration that can't be read, such as a negative one, is no permission to keep anything.
  return { auth: readLogins(auth), cacheKeyType: type, cacheMs: ms ?? 0 }
}

function readLogins(auth: unknown): Readonly<Record<string, Login>> {
  const logins: Record<string, Login> = {}
  for (const [key, value] of Object.entries(auth ?? {})) {
    const { username, password } = (value ?? {}) as Partial<Record<string, unknown>>
    if (typeof username !== 'string' || typeof password !== 'string')
      throw new AnswerError('answered a login without username and password')
    logins[key] = { username, password }
  }
  return logins
}

function parseObject(output: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(output) as unknown
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // The parser's words would quote the output.
  }
  throw new AnswerError('answered something that is not JSON')
}

function problem(name: string, what: string): KeychainAnswer {
  return { credentials: [], problems: [`credential provider ${printable(name)}: ${printable(what)}`] }
}

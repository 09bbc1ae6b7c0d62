/** What a case of the list is: data that a registry is set up by, and what a client must and must not do then. */
import type { Stage } from './stage.ts'

/**
 * `resolve`: which digest a reference names. `pull`: manifest, config and layers onto the disk. `tags`: the tags of a
 * repository. `referrers`: what refers to an image.
 */
export type Ask = 'resolve' | 'pull' | 'tags' | 'referrers'

/**
 * `right`: only the right answer passes. `refused`: only a refusal passes, because no answer can be right. `either`: a
 * client may refuse, but must not take a wrong answer for a right one.
 */
export type Expected = 'right' | 'refused' | 'either'

/** Abilities that not every tool has; a case that needs one is not held against a tool that never claimed it. */
export type Feature =
  | 'referrers'
  | 'referrers-filter'
  | 'mirrors'
  | 'mirrors-for-digests-only'
  | 'own-ca'
  | 'client-certificate'
  | 'plain-http'
  | 'unpack'

export interface Login {
  /** Key of the credentials file: a host, a host with a path, or Docker Hub's URL. */
  readonly key: string
  readonly username?: string
  readonly password?: string
  readonly identityToken?: string
  readonly registryToken?: string
}

export interface Mirror {
  readonly host: string
  /** Whether it may say what a tag points at. */
  readonly resolve: boolean
  /** Path before the repository. */
  readonly prefix?: string
}

/** How the tool is configured; hosts are as in references. */
export interface Setup {
  readonly logins?: readonly Login[]
  readonly mirrors?: readonly Mirror[]
  /** Hosts that are configured to be asked without TLS. */
  readonly plainHttp?: readonly string[]
  /** `system` (the default): the kit's authority is the system's. `registry`: it is configured for the registry only. */
  readonly trust?: 'system' | 'registry'
  readonly clientCertificate?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/** What is right; each a set. */
export interface Right {
  readonly digests?: readonly string[]
  readonly tags?: readonly string[]
  /** Tags that may be given as well. */
  readonly alsoTags?: readonly string[]
  readonly referrers?: readonly string[]
}

export interface Case {
  /** The rule, a dash and a word: `M6-body`. */
  readonly id: string
  readonly title: string
  readonly ask: Ask
  readonly expected: Expected
  /** As typed by a user; by default the tag `1` of the registry's repository. */
  readonly reference?: (stage: Stage) => string
  readonly needs?: readonly Feature[]
  readonly setup?: (stage: Stage) => Setup
  /** Artifact type to filter referrers by. */
  readonly artifactType?: string
  /** Sets the registry up. What is right where that is not the genuine image's digest. */
  readonly serve: (stage: Stage) => Served | Promise<Served>
  /** What the tool did that it must never do, in words. */
  readonly forbidden?: (stage: Stage) => string | undefined
  /** Servers whose sheer being asked is a failure anywhere else, but belongs to this case. */
  readonly welcome?: readonly ('loopback' | 'lan')[]
}

/** What the cases of one kind have in common. */
export type Kind = Pick<Case, 'ask' | 'needs' | 'setup'> & {
  /** What the registry has before a case sets it up further. */
  readonly prelude?: (stage: Stage) => void
}

export type MakeCase = (
  id: string,
  title: string,
  expected: Expected,
  serve: Case['serve'],
  more?: Partial<Case>,
) => Case

/** Makes cases of a kind; `more` of a case counts before what its kind says. */
export function casesOf({ prelude = () => undefined, ...kind }: Kind): MakeCase {
  return (id, title, expected, serve, more = {}) => ({
    ...kind,
    id,
    title,
    expected,
    serve: (stage) => {
      prelude(stage)
      return serve(stage)
    },
    ...more,
  })
}

/** `M6` of `M6-body`. */
export function ruleOf({ id }: Pick<Case, 'id'>): string {
  return id.split('-')[0] ?? id
}

/** `M` of `M6-body`. */
export function groupOf({ id }: Pick<Case, 'id'>): string {
  return id.slice(0, 1)
}

/** Whether one of the words is the case's id, rule or group; without words all are. */
export function isNamed(one: Pick<Case, 'id'>, words: readonly string[] | undefined): boolean {
  return words === undefined || [one.id, ruleOf(one), groupOf(one)].some((word) => words.includes(word))
}

// A case that sets up the genuine image has nothing to say.
export type Served = Right | void

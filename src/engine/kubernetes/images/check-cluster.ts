/**
 * Whether entrypoint and hooks will start in the pods, on every platform that these may land on. What lies on volumes
 * that were prepared before, or that somebody else fills, can't be seen from here: it is said, not judged.
 */
import { keyFilesTree, onlyRoot, subtree } from '../../../bundle/mount-trees.ts'
import { containerView, type ContainerView } from '../../../bundle/view.ts'
import { formatPlatform } from '../../../image/platform.ts'
import { entrypointIssues, hookIssues, workingDirIn } from '../../../reconcile/process-checks.ts'
import { volumeViews } from '../../../reconcile/to-local.ts'
import type { Desired, DesiredVolume } from '../../../reconcile/types.ts'
import type { FileNode, FileTree } from '../../../rootfs/types.ts'
import { unsafeMountTargets } from '../../../rootfs/unsafe-targets.ts'
import { printable, type Issue, type Reason } from '../../../errors.ts'
import type { ClusterPreparedImage, PlatformImage } from './cluster-images.ts'
import { ContentNotKept } from './compact-tree.ts'

export interface CheckFacts {
  /** Whether the volume was prepared for an earlier revision: the image no longer tells what is in it. */
  readonly isPrepared: (volume: DesiredVolume) => boolean
}

/** All findings on all platforms. Throws ExpectedError where there is nothing to run, or nowhere to run it. */
export function checkCluster(
  desired: Desired,
  prepared: Pick<ClusterPreparedImage, 'platforms'>,
  facts: CheckFacts,
): readonly Issue[] {
  const several = prepared.platforms.length > 1
  return prepared.platforms.flatMap((platform) => {
    const issues = platform.checked ? platformIssues(desired, platform, facts) : []
    return several ? issues.map((issue) => onPlatform(issue, platform)) : issues
  })
}

function onPlatform(issue: Issue, { image }: PlatformImage): Issue {
  return { ...issue, message: `on ${formatPlatform(image.config.platform)}: ${issue.message}` }
}

function platformIssues(
  wanted: Desired,
  { image, tree }: PlatformImage,
  facts: CheckFacts,
): readonly Issue[] {
  const desired = { ...wanted, image }
  const destinations = desired.volumes.map(({ destination }) => destination)
  const unsafe = unsafeMountTargets(tree, destinations)
  if (unsafe.length > 0) return unsafe
  const views: Views = {
    strict: viewOf(desired, tree, facts, unknownContent),
    lenient: viewOf(desired, leniently(tree), facts, unknownContent),
  }
  // A folder that we can't see into is made or found by the runtime; a wrong one shows when the pod starts.
  const cwd = workingDirIn(
    desired,
    viewOf(desired, tree, facts, () => keyFilesTree({})),
  )
  return [
    ...judged(views, entrypointField(desired), 'the entrypoint', (view) =>
      entrypointIssues(desired, view, cwd),
    ),
    ...desired.hooks.flatMap((hook) =>
      judged(views, `${hook.field}.path`, `the hook "${printable(hook.path)}"`, (view) =>
        hookIssues({ ...desired, hooks: [hook] }, view, { allowedHostHooks: [] }, cwd),
      ),
    ),
  ]
}

interface Views {
  readonly strict: ContainerView
  /** Files whose content was not kept read as empty. */
  readonly lenient: ContainerView
}

function viewOf(
  desired: Desired,
  tree: FileTree,
  facts: CheckFacts,
  unknown: (volume: DesiredVolume) => FileTree,
): ContainerView {
  const contentOf = (volume: DesiredVolume): FileTree => {
    if (volume.storage.kind === 'memory') return keyFilesTree({})
    if (volume.storage.kind !== 'own' || facts.isPrepared(volume)) return unknown(volume)
    if (!volume.inImage) return keyFilesTree({})
    return (volume.seed === 'Never' ? onlyRoot : subtree)(tree, volume.destination)
  }
  return containerView(tree, volumeViews(desired, contentOf))
}

/** Answers only for its root: asked for more, there is no answer to give. */
function unknownContent(volume: DesiredVolume): FileTree {
  const empty = keyFilesTree({})
  return {
    lookup(names) {
      if (names.length === 0) return empty.lookup(names)
      throw new UnknownContent(volume.path)
    },
  }
}

class UnknownContent extends Error {
  readonly volume: string

  constructor(volume: string) {
    super(`unknown content of ${volume}`)
    this.volume = volume
  }
}

/** These say something about files' places and modes, which are known although their content is not. */
const WITHOUT_CONTENT: ReadonlySet<Reason> = new Set([
  'ExecNotFound',
  'ExecNotAbsolute',
  'ExecNotRegularFile',
  'ExecNotExecutable',
  'ExecNotSearchable',
  'ExecDanglingSymlink',
  'ExecHiddenByMount',
  'ExecOnNoexecMount',
  'HookNotAllowed',
  'InvalidSpec',
])

type Check = (view: ContainerView) => readonly Issue[]

function judged(views: Views, path: string, what: string, check: Check): readonly Issue[] {
  try {
    return check(views.strict)
  } catch (error) {
    if (error instanceof UnknownContent) return [notSeen(path, what, error)]
    if (!(error instanceof ContentNotKept)) throw error
    const notRead = notMade(path, `${what} was not checked to the end: ${error.message}`)
    return [...knownWithoutContent(views, path, what, check), notRead]
  }
}

function knownWithoutContent(views: Views, path: string, what: string, check: Check): readonly Issue[] {
  try {
    return check(views.lenient).filter(({ reason }) => WITHOUT_CONTENT.has(reason))
  } catch (error) {
    if (error instanceof UnknownContent) return [notSeen(path, what, error)]
    throw error
  }
}

function notSeen(path: string, what: string, { volume }: UnknownContent): Issue {
  return notMade(
    path,
    `${what} depends on what is in volume ${volume}, which only its pods see; it was not checked`,
  )
}

function notMade(path: string, message: string): Issue {
  return { severity: 'warning', reason: 'ChecksNotMade', path, message }
}

function leniently(tree: FileTree): FileTree {
  return {
    lookup(names) {
      const node = tree.lookup(names)
      return node === undefined ? undefined : { ...node, read: (...range) => readOrEmpty(node, range) }
    },
    list: (names) => tree.list?.(names),
  }
}

function readOrEmpty(node: FileNode, range: Parameters<FileNode['read']>): Buffer {
  try {
    return node.read(...range)
  } catch (error) {
    if (error instanceof ContentNotKept) return Buffer.alloc(0)
    throw error
  }
}

function entrypointField({ process }: Desired): string {
  return process.command === undefined ? 'image entrypoint' : 'spec.command[0]'
}

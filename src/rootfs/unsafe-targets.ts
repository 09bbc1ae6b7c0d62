/**
 * Mount points that would lead a runtime astray (rule F6): with `/dev -> /host/path` in the image, runc before 1.3.6
 * made links and crun before 1.28 made device nodes on the host (CVE-2026-41579, CVE-2026-47766). The check does not
 * depend on the runtime being patched.
 */
import { printable, type Issue } from '../errors.ts'
import { toBytes, toText, type ByteString } from '../image/bytes.ts'
import type { FileTree } from './types.ts'

/** Where every runtime mounts before anything else. */
const RUNTIME_TARGETS = ['/dev', '/proc', '/sys']

/**
 * One `UnsafeRootfs` issue for every mount target that is a symlink, or that is reached through a symlink or something
 * that is no directory. `paths` are absolute destinations of further mounts, resolved already; missing ones are fine.
 */
export function unsafeMountTargets(tree: FileTree, paths: readonly string[] = []): readonly Issue[] {
  const targets = new Set([...RUNTIME_TARGETS, ...paths])
  return [...targets].flatMap((path) => {
    const problem = targetProblem(tree, path)
    return problem === undefined
      ? []
      : [{ severity: 'error', reason: 'UnsafeRootfs', path, message: problem }]
  })
}

function targetProblem(tree: FileTree, path: string): string | undefined {
  const names = path.split('/').flatMap((name) => (name === '' ? [] : [toBytes(name)]))
  for (let depth = 0; depth <= names.length; depth += 1) {
    const place = names.slice(0, depth)
    const node = tree.lookup(place)
    if (node === undefined) return depth === 0 ? 'the image has no root directory' : undefined
    const isTarget = depth === names.length
    // A single file may be mounted over a file; the runtime's own mounts need directories.
    const isFine =
      node.type === 'directory' || (isTarget && node.type === 'file' && !RUNTIME_TARGETS.includes(path))
    if (!isFine)
      return describe(
        place,
        path,
        node.type === 'symlink' ? `a symlink to ${quoted(node.linkTarget)}` : `a ${node.type}`,
      )
  }
  return undefined
}

function describe(place: readonly ByteString[], path: string, what: string): string {
  return `the image has ${what} at ${quoted(`/${place.join('/')}`)}, and ${printable(path)} is mounted there: a runtime could be led out of the container; it must be a directory`
}

function quoted(bytes: ByteString): string {
  return printable(toText(bytes))
}

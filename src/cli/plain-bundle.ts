/**
 * A runtime spec for an unpacked image alone, for `runc run`: the image's own words, the host's network, volumes as the
 * plain folders that they are in the tree.
 */
import { existsSync } from 'node:fs'
import { renderSpec } from '../bundle/spec.ts'
import type { RuntimeSpec } from '../bundle/runtime-spec.ts'
import type { ContainerMount } from '../bundle/types.ts'
import { resolveIdentity } from '../bundle/user.ts'
import { hostFacts } from '../engine/local/host.ts'
import type { Issue } from '../errors.ts'
import { toBytes, toText } from '../image/bytes.ts'
import type { ResolvedImage } from '../image/types.ts'
import { resourceLimits } from '../reconcile/desired.ts'
import { resolvePath } from '../rootfs/lookup.ts'
import type { FileTree } from '../rootfs/types.ts'

/** What name resolution needs on the host's network. */
const HOST_FILES = ['/etc/hosts', '/etc/resolv.conf']
const HOSTNAME = 'fairlead'

/** Throws the reasons of users and working folders. */
export function plainBundle(
  image: ResolvedImage,
  tree: FileTree,
): { readonly spec: RuntimeSpec; readonly warnings: readonly Issue[] } {
  const { spec, warnings } = renderSpec({
    config: image.config,
    process: { command: undefined, args: undefined, env: [], workingDir: undefined, user: undefined },
    identity: resolveIdentity(image.config.user, tree),
    hostname: HOSTNAME,
    mounts: [],
    engineFiles: HOST_FILES.flatMap((path) => hostFile(path, tree)),
    hooks: {},
    limits: resourceLimits(undefined),
    security: {
      readOnlyRootFilesystem: false,
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilitiesAdd: [],
      capabilitiesDrop: [],
      seccomp: 'RuntimeDefault',
    },
    cgroupsPath: undefined,
    network: 'host',
    annotations: {},
    host: hostFacts(),
  })
  return { spec: { ...spec, root: { path: 'rootfs', readonly: false } }, warnings }
}

/** Read-only, at the place that the image's own path leads to; left out where that is no file. */
function hostFile(path: string, tree: FileTree): ContainerMount[] {
  const found = resolvePath(tree, toBytes(path), { allowMissing: true })
  if (!existsSync(path) || !('names' in found) || (found.node !== undefined && found.node.type !== 'file'))
    return []
  return [
    {
      destination: `/${found.names.map(toText).join('/')}`,
      source: path,
      readOnly: true,
      exec: false,
      label: path,
    },
  ]
}

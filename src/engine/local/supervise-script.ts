/**
 * The supervisor of one container: a POSIX sh script that outlives the controller (oci.md §12, contract c). It holds
 * the app's lock, makes the mounts in a mount namespace of its own (so that they vanish with it), runs the runtime in
 * the foreground and records how it ended. Exit codes are never lost because the script, not the controller, is the
 * runtime's parent.
 */
import { shellQuote as shellWord } from '../../bundle/shell-quote.ts'
import { subPathLines, type SubPathMount } from './sub-paths.ts'

export interface MemoryMount {
  readonly dir: string
  /** Seed copied into the tmpfs before the container starts; undefined for an empty one. */
  readonly seedFrom: string | undefined
  readonly options: string
}

export interface SuperviseInput {
  readonly id: string
  readonly lockFile: string
  /** Locks of single-writer volumes that other apps could mount, too. */
  readonly claimLocks: readonly string[]
  /** Folder of this instance's runs; the run number is the script's first argument. */
  readonly runsDir: string
  readonly bundleDir: string
  readonly lowerDir: string
  readonly overlayDir: string
  /** `runc`/`crun` with its global options, e.g. ['runc', '--root', '…']. */
  readonly runtime: readonly string[]
  /** The runtime gets no cgroup v1 support (crun): give it a cgroup2 mount and keep the limits ourselves. */
  readonly ownCgroups: readonly CgroupSetting[] | undefined
  /** File whose `oom_kill N` line tells an out-of-memory kill, read before the container is deleted. */
  readonly oomFile: string | undefined
  readonly memoryMounts: readonly MemoryMount[]
  /** Parts of volumes, bound anew before each run. */
  readonly subPaths?: readonly SubPathMount[]
  /** uid, gid of the hook runner's result folder; undefined when the app has no hooks. */
  readonly hookOwner: { readonly uid: number; readonly gid: number } | undefined
  /** Working directory to create inside the merged root when the image lacks it; resolved, no symlinks. */
  readonly createWorkingDir: { readonly path: string; readonly uid: number; readonly gid: number } | undefined
}

/** A v1 controller file to write before the supervisor enters that cgroup. */
export interface CgroupSetting {
  readonly controller: 'memory' | 'pids' | 'cpu' | 'devices' | 'freezer'
  readonly writes: readonly { readonly file: string; readonly value: string }[]
}

/** How much of one file that hooks leave is kept. */
export const HOOK_FILE_MAX_BYTES = 64 * 1024

export const LOCK_BUSY_EXIT_CODE = 97
const LOCK_WAIT_SECONDS = 5
export const SETUP_FAILED_EXIT_CODE = 98

export function superviseScript(input: SuperviseInput): string {
  return `${[
    '#!/bin/sh',
    '# Written by Fairlead: supervises one container. Arguments: RUN_NUMBER [locked|inner].',
    'set -u',
    'umask 077',
    `run=${shellWord(input.runsDir)}/"$1"`,
    // Traps, not ignored signals: an ignored signal would be inherited by the container's process.
    "trap ':' HUP INT TERM",
    'case "${2-}" in',
    'inner)',
    ...indent(innerLines(input)),
    '  ;;',
    'locked)',
    ...indent(lockedLines()),
    '  ;;',
    'esac',
    ...outerLines(input),
  ].join('\n')}\n`
}

/** Takes every lock. `flock --no-fork` becomes the script itself, so that the pid stays and the locks with it. */
function outerLines(input: SuperviseInput): string[] {
  const locks = input.claimLocks.map(
    (file) => `flock --no-fork -n -E ${LOCK_BUSY_EXIT_CODE} ${shellWord(file)} `,
  )
  return [
    `exec 9>>${shellWord(input.lockFile)}`,
    // The run before this one may be in its last moment: its end is on record, its process not yet gone.
    `flock -w ${LOCK_WAIT_SECONDS} 9 || exit ${LOCK_BUSY_EXIT_CODE}`,
    `exec ${locks.join('')}/bin/sh "$0" "$1" locked`,
  ]
}

/** Says who supervises, and enters a private mount namespace without changing its pid. */
function lockedLines(): string[] {
  return [
    'stat=$(cat /proc/$$/stat)',
    'set -- "$1" ${stat##*) }',
    'run_number=$1',
    'shift',
    // Without this record nobody could find the container again: then it must not start.
    'echo "$$ ${20} $(cat /proc/sys/kernel/random/boot_id)" >"$run/supervisor.tmp" || exit 98',
    'mv "$run/supervisor.tmp" "$run/supervisor" || exit 98',
    'exec unshare --mount --propagation private /bin/sh "$0" "$run_number" inner',
  ]
}

function innerLines(input: SuperviseInput): string[] {
  return [
    `id=${shellWord(input.id)}`,
    `bundle=${shellWord(input.bundleDir)}`,
    `overlay=${shellWord(input.overlayDir)}`,
    // `finish CODE OOM` writes the one record of how this run ended.
    'finish() {',
    '  printf \'{"exitCode":%d,"oomKills":%d,"startedAt":%d,"finishedAt":%d}\\n\' "$1" "$2" "$started" "$(date +%s)" >"$run/exit.tmp"',
    '  sync "$run/exit.tmp"',
    '  mv "$run/exit.tmp" "$run/exit"',
    '  exit 0',
    '}',
    'started=$(date +%s)',
    `fail() { echo "fairlead: $1" >>"$run/runtime.log"; finish ${SETUP_FAILED_EXIT_CODE} 0; }`,
    ...cgroupLines(input),
    // A container's writable layer lives for one run, as in Kubernetes.
    'rm -rf "$overlay" && mkdir -p "$overlay/upper" "$overlay/work" "$bundle/rootfs" || fail "cannot create the writable layer"',
    'chmod 755 "$overlay/upper"',
    `mount -t overlay overlay -o ${shellWord(`lowerdir=${escapeOverlay(input.lowerDir)},upperdir=${escapeOverlay(input.overlayDir)}/upper,workdir=${escapeOverlay(input.overlayDir)}/work`)} "$bundle/rootfs" || fail "cannot mount the overlay"`,
    ...workingDirLines(input),
    ...input.memoryMounts.flatMap(memoryMountLines),
    ...subPathLines(input.subPaths ?? []),
    ...hookMountLines(input),
    `${shellWords(input.runtime)} delete --force "$id" >/dev/null 2>&1`,
    // Runtimes make missing parents of mount points with our umask: 077 would lock the app's user out of them.
    'umask 022',
    ...runLines(input),
    'code=$?',
    'umask 077',
    ...oomLines(input),
    `${shellWords(input.runtime)} delete --force "$id" >/dev/null 2>&1`,
    ...(input.hookOwner === undefined
      ? []
      : [
          'mkdir -p "$run/hooks"',
          // The container may have put anything there. Only the beginnings of plain files leave its tmpfs: a device
          // node would work again where it is copied to.
          `keep=${HOOK_FILE_MAX_BYTES}`,
          'for file in "$run/hooks-mount"/*; do',
          '  if [ -f "$file" ] && [ ! -L "$file" ]; then head -c "$keep" -- "$file" >"$run/hooks/${file##*/}"; fi',
          'done',
        ]),
    'finish "$code" "$oom"',
  ]
}

function runLines(input: SuperviseInput): string[] {
  const common = `--pid-file "$run/pid" --bundle "$bundle" "$id" </dev/null`
  if (input.ownCgroups === undefined) {
    return [`${shellWords(input.runtime)} --log "$run/runtime.log" run --keep ${common}`]
  }
  const inner = `mount -t cgroup2 none /sys/fs/cgroup && exec "$@"`
  return [
    `unshare --mount --propagation private /bin/sh -c ${shellWord(inner)} sh ${shellWords(input.runtime)} --log "$run/runtime.log" run ${common}`,
  ]
}

function cgroupLines(input: SuperviseInput): string[] {
  return (input.ownCgroups ?? []).flatMap((group) => {
    const dir = shellWord(`/sys/fs/cgroup/${group.controller}/fairlead/${input.id}`)
    return [
      `mkdir -p ${dir} || fail "cannot create cgroup ${group.controller}"`,
      ...group.writes.map(
        ({ file, value }) =>
          `echo ${shellWord(value)} >${dir}/${shellWord(file)} || fail ${shellWord(`cannot set ${group.controller} ${file}`)}`,
      ),
      `echo $$ >${dir}/cgroup.procs || fail "cannot enter cgroup ${group.controller}"`,
    ]
  })
}

function oomLines(input: SuperviseInput): string[] {
  const leave = (input.ownCgroups ?? []).flatMap((group) => {
    const root = `/sys/fs/cgroup/${group.controller}`
    return [
      `echo $$ >${root}/cgroup.procs 2>/dev/null`,
      `rmdir ${shellWord(`${root}/fairlead/${input.id}`)} 2>/dev/null`,
    ]
  })
  const read =
    input.oomFile === undefined
      ? ['oom=0']
      : [`oom=$(sed -n 's/^oom_kill //p' ${shellWord(input.oomFile)} 2>/dev/null)`, 'oom=${oom:-0}']
  return [...read, ...leave]
}

function workingDirLines(input: SuperviseInput): string[] {
  const wanted = input.createWorkingDir
  if (wanted === undefined) return []
  const target = `"$bundle/rootfs"${shellWord(wanted.path)}`
  return [
    // Its parents, too, must let the app's user through.
    `if [ ! -e ${target} ]; then (umask 022; mkdir -p -- ${target}) && chown ${wanted.uid}:${wanted.gid} -- ${target} || fail "cannot create the working directory"; fi`,
  ]
}

function memoryMountLines(mount: MemoryMount): string[] {
  const dir = shellWord(mount.dir)
  return [
    `mkdir -p ${dir} && mount -t tmpfs -o ${shellWord(mount.options)} tmpfs ${dir} || fail "cannot mount a memory volume"`,
    ...(mount.seedFrom === undefined
      ? []
      : [`cp -a ${shellWord(mount.seedFrom)}/. ${dir}/ || fail "cannot seed a memory volume"`]),
  ]
}

/** Hook results go to a small tmpfs: a container can't fill the host's disk through it. */
function hookMountLines(input: SuperviseInput): string[] {
  const owner = input.hookOwner
  if (owner === undefined) return []
  return [
    `mkdir -p "$run/hooks-mount" && mount -t tmpfs -o size=1m,nr_inodes=256,mode=700,uid=${owner.uid},gid=${owner.gid},nosuid,nodev,noexec tmpfs "$run/hooks-mount" || fail "cannot mount the hook results"`,
    // The bundle names one fixed folder; the run's own mount is bound there.
    'mkdir -p "$bundle/hooks" && mount --bind "$run/hooks-mount" "$bundle/hooks" || fail "cannot bind the hook results"',
  ]
}

function shellWords(words: readonly string[]): string {
  return words.map(shellWord).join(' ')
}

/** Commas, colons and backslashes separate overlay options. */
function escapeOverlay(path: string): string {
  return path.replaceAll(/[\\,:]/g, String.raw`\$&`)
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}

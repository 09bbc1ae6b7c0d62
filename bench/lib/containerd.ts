/** containerd as one command: a daemon of its own with the overlayfs snapshotter, alive for one import. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clusterBinaries } from '../../scripts/lib/cluster-binaries.ts'
import { UNUSED_PLUGINS } from '../../test/conformance/layers/tools/containerd.ts'

/**
 * Shell command that imports an archive of an OCI layout below `$OUT` and unpacks it. The last line that it prints are
 * the seconds of that, without the daemon's start and end.
 */
export async function containerdCommand(archive: string, scripts: string): Promise<string> {
  const { containerd, ctr } = await clusterBinaries()
  const script = join(scripts, 'containerd-once.sh')
  writeFileSync(
    script,
    `set -eu
cat >"$OUT/config.toml" <<END
version = 3
root = "$OUT/root"
state = "$OUT/state"
disabled_plugins = ${JSON.stringify(UNUSED_PLUGINS)}
[grpc]
address = "$OUT/sock"
END
"${containerd}" --config "$OUT/config.toml" >"$OUT/log" 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || :; umount "$OUT"/state/*/*/* 2>/dev/null || :' EXIT
until "${ctr}" -a "$OUT/sock" version >/dev/null 2>&1; do kill -0 $daemon || { cat "$OUT/log" >&2; exit 1; }; sleep 0.05; done
start=$(date +%s.%N)
"${ctr}" -a "$OUT/sock" images import --local --snapshotter overlayfs "${archive}" >/dev/null
[ -n "$(ls "$OUT/root/io.containerd.snapshotter.v1.overlayfs/snapshots")" ]
[ -z "\${SYNC:-}" ] || sync -f "$OUT"
end=$(date +%s.%N)
echo "$end $start" | awk '{ printf "%.3f\\n", $1 - $2 }'
`,
  )
  return `sh "${script}"`
}

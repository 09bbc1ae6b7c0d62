/**
 * The supervisor's script with the real mounts, as root, in state folders with hostile names. In place of runc there is
 * a program that writes down what a container would find.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { superviseScript, type SuperviseInput } from '../../src/engine/local/supervise-script.ts'
import { runToEnd, temporaryFolder } from '../engine/local/temporary.ts'

/** `run … --bundle BUNDLE ID`: says what is in the merged root and writes into it; any other command is ignored. */
const RUNTIME = `#!/bin/sh
case " $* " in *" run "*) ;; *) exit 0 ;; esac
while [ "$1" != --bundle ]; do shift; done
root=$2/rootfs
cat "$root/etc/image"
stat -c '%a %u:%g' "$root" "$root/srv/made"
echo written >"$root/etc/image"
awk -v point="$MEMORY" '$5 ~ /memory$/ {print $6}' /proc/self/mountinfo | tr , '\\n' | grep -x -e nosuid -e nodev | sort | tr '\\n' ' '
cat "$MEMORY/seeded"
exit 3
`

describe.each([
  'plain',
  'with space',
  "it's $(id)",
  'comma,colon:back\\slash',
  'equals=lowerdir=x',
  'new\nline',
  'ünï',
])('a state folder named %j', (name) => {
  test('is where the container finds the image, its working directory and its memory', async () => {
    const top = await temporaryFolder()
    const dir = path.join(top, name)
    const memory = path.join(dir, 'memory')
    const input: SuperviseInput = {
      id: 'chat_mattermost_0123456789',
      lockFile: path.join(dir, 'app.lock'),
      claimLocks: [path.join(dir, 'claim.lock')],
      runsDir: path.join(dir, 'runs'),
      bundleDir: path.join(dir, 'bundle'),
      lowerDir: path.join(dir, 'lower'),
      overlayDir: path.join(dir, 'overlay'),
      runtime: [path.join(top, 'runtime')],
      ownCgroups: undefined,
      oomFile: undefined,
      memoryMounts: [
        { dir: memory, seedFrom: path.join(dir, 'lower/seed'), options: 'size=1m,mode=755,nosuid,nodev' },
      ],
      hookOwner: { uid: 2000, gid: 2001 },
      createWorkingDir: { path: '/srv/made', uid: 2000, gid: 2001 },
    }
    await mkdir(path.join(dir, 'runs/1'), { recursive: true })
    await mkdir(path.join(dir, 'lower/etc'), { recursive: true })
    await mkdir(path.join(dir, 'lower/seed'))
    await writeFile(path.join(dir, 'lower/seed/seeded'), 'from the image\n')
    await writeFile(path.join(dir, 'lower/etc/image'), 'image\n')
    await writeFile(input.runtime[0] ?? '', RUNTIME)
    await chmod(input.runtime[0] ?? '', 0o755)
    await writeFile(path.join(dir, 'supervise.sh'), superviseScript(input))
    const ended = await runToEnd(['/bin/sh', path.join(dir, 'supervise.sh'), '1'], {
      env: { MEMORY: memory },
    })
    const log = await readFile(path.join(dir, 'runs/1/runtime.log'), 'utf8').catch(() => '')
    expect({ ...ended, log }).toEqual({
      code: 0,
      signal: null,
      stdout: 'image\n755 0:0\n755 2000:2001\nnodev nosuid from the image\n',
      stderr: '',
      log: '',
    })
    expect(JSON.parse(await readFile(path.join(dir, 'runs/1/exit'), 'utf8'))).toMatchObject({ exitCode: 3 })
    // What the container wrote is in its own layer, and its mounts are gone with the supervisor.
    expect(await readFile(path.join(dir, 'lower/etc/image'), 'utf8')).toBe('image\n')
    expect(await readFile(path.join(dir, 'overlay/upper/etc/image'), 'utf8')).toBe('written\n')
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(path.basename(top))
  })
})

/** Small images for the end-to-end tests: a busybox as uid 2000 with VOLUMEs, and one that watches over its volume. */
import { busyboxImage, WAIT_FOREVER } from '../../support/busybox-image.ts'
import { dir, file } from '../../support/layer.ts'
import type { BuiltImage, ConfigInput } from '../../support/layout.ts'

const OWNER = { uid: 2000, gid: 2000 }

/** `/version` tells builds apart; `/data` (0750) ships a file, `/plugins` a program. More in `config` wins. */
export function volumeApp(version: string, config: ConfigInput = {}): BuiltImage {
  return busyboxImage({
    run: WAIT_FOREVER,
    parts: [
      dir('data', { ...OWNER, mode: 0o750 }),
      file('data/shipped', `shipped with ${version}\n`, { ...OWNER, mode: 0o640 }),
      dir('plugins', OWNER),
      file('plugins/hello', '#!/bin/sh\necho hello from a plugin\n', { ...OWNER, mode: 0o755 }),
      file('version', version),
    ],
    config: { User: '2000', Volumes: ['/data', '/plugins'], ...config },
  })
}

/** No VOLUME at all: it answers its version on port 8080. */
export function webApp(version: string): BuiltImage {
  return busyboxImage({
    run: 'trap "exit 0" TERM; busybox httpd -f -p 8080 -h /www & wait $!',
    parts: [dir('www'), file('www/index.html', version)],
    config: { User: '2000', ExposedPorts: ['8080/tcp'] },
  })
}

/** How long a `witnessApp` takes to stop, in seconds. */
export const STOP_SECONDS = 8

/**
 * Holds a lock folder in its volume `/data` as long as it lives and takes its time to stop. Whoever starts and finds the
 * lock held writes it into `/data/violation`; every start is a line of `/data/starts`. SIGKILL leaves a stale lock, so a
 * test must give it time to end.
 */
export function witnessApp(version: string): BuiltImage {
  return busyboxImage({
    run: `cd /data
mkdir lock 2>/dev/null || echo "${version} on $HOSTNAME met $(cat lock/holder)" >>violation
echo "${version} on $HOSTNAME" >lock/holder
echo "${version} on $HOSTNAME" >>starts
stop() { sleep ${STOP_SECONDS}; rm -r lock; exit 0; }
trap stop TERM
while :; do sleep 1000 & wait $!; done`,
    parts: [dir('data', OWNER)],
    config: { User: '2000', Volumes: ['/data'] },
  })
}

/** An image that tries to run in the preflight of its app, and what must not come of it. */
import { expect } from 'vitest'
import { busyboxImage } from '../../support/busybox-image.ts'
import { dir, file, symlink } from '../../support/layer.ts'
import type { Workbench } from './workbench.ts'

/** What an image's code would do if it ran in the preflight: claim that all is done, and leave a trace. */
const FORGE = `#!/bin/sh
echo '{"version":1,"volumes":["cx","cx","cx"],"note":"forged"}' >/dev/termination-log
for dir in /volumes/* /fairlead*/*; do echo evil >$dir/EVIL; done
exit 0
`

/** Has programs and variables wherever something of an image could be started, or loaded, before its app is. */
function hostileImage() {
  const owner = { uid: 2000, gid: 2000 }
  const program = { mode: 0o755 }
  const places = ['evil', 'fairlead/lib/ld.so', 'fairlead/lib/holder', 'fairlead/bin/node', 'fairlead/holder']
  return busyboxImage({
    parts: [
      ...['fairlead', 'fairlead/lib', 'fairlead/bin'].map((name) => dir(name)),
      ...places.map((name) => file(name, FORGE, program)),
      symlink('beside', '/fairlead'),
      file('etc/ld.so.preload', '/evil\n'),
      file('evil.cjs', "require('node:child_process').execFileSync('/evil')"),
      dir('data', owner),
      file('data/shipped', 'shipped', owner),
    ],
    config: {
      User: '2000:2000',
      Env: [
        'PATH=/bin',
        'LD_PRELOAD=/evil',
        'LD_AUDIT=/evil',
        'NODE_OPTIONS=--require=/evil.cjs',
        'OPENSSL_CONF=/evil',
      ],
      // A node lays a folder of its own over these, with what the image has there.
      Volumes: ['/data', '/fairlead/lib', '/beside'],
    },
  })
}

/** Applies an app of it in a bench whose nodes are not known to have image volumes. */
export async function expectHarmless(bench: Workbench): Promise<void> {
  await bench.apply('hostile', await bench.push('hostile', '1', hostileImage()), {
    volumeDefaults: { size: '64Mi' },
  })
  await bench.untilReady('hostile')
  expect((await bench.status('hostile')).volumes?.map(({ path, seeded }) => [path, seeded])).toEqual([
    ['/beside', true],
    ['/data', true],
    ['/fairlead/lib', true],
  ])
  expect(await bench.sh('hostile', 'unset LD_PRELOAD LD_AUDIT; cd /data; ls -A; cat shipped')).toBe(
    'shipped\nshipped',
  )
  expect(await bench.sh('hostile', 'ls /fairlead/lib /fairlead/bin')).not.toContain('EVIL')
  expect((await bench.condition('hostile', 'Rendered'))?.message ?? '').not.toContain('forged')
  await bench.deleteApp('hostile')
}

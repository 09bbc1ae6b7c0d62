/**
 * Images in the shape of those that the examples name: the same users, VOLUMEs, ports, entrypoints and folders, but
 * each program is a few lines of shell on a static busybox. PostgreSQL and Mattermost's stand-in are real programs.
 */
import { mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { busyboxLayer } from './busybox-image.ts'
import { demoLayout, postgresLayout } from './fixtures.ts'
import { dir, file, layer, type LayerPart } from './layer.ts'
import {
  buildImage,
  buildIndex,
  readLayoutImage,
  writeLayout,
  type BuiltImage,
  type ConfigInput,
} from './layout.ts'

const WWW_DATA = { uid: 33, gid: 33 }
const GIT = { uid: 1000, gid: 1000 }

/** Fills a folder with layouts named as on Docker Hub, for `startMirror`. */
export async function writeExampleImages(folder: string): Promise<void> {
  const [demo, postgres] = [await demoLayout(), await postgresLayout()]
  await mkdir(path.join(folder, 'library'), { recursive: true })
  await symlink(postgres, path.join(folder, 'library/postgres'))
  await writeLayout(path.join(folder, 'mattermost/mattermost-team-edition'), [
    { image: await readLayoutImage(demo, 'v1'), tag: '10.12' },
  ])
  await writeKimai(folder, 'first')
  await writeLayout(path.join(folder, 'library/nginx'), [{ image: nginx(), tag: '1.27' }])
  const gitea = buildIndex([giteaFor('arm64'), giteaFor('amd64')])
  await writeLayout(path.join(folder, 'gitea/gitea'), [{ index: gitea, tag: '1.24-rootless' }])
}

/** Two tags that people mix up; `build` is what the page of `apache` says. Written again, the tags have moved. */
export async function writeKimai(folder: string, build: string): Promise<void> {
  await writeLayout(path.join(folder, 'kimai/kimai2'), [
    { image: kimai(`apache, ${build} build`), tag: 'apache' },
    { image: kimai('latest, which nobody asked for'), tag: 'latest' },
  ])
}

/** An image as rules_oci builds one: it says of itself which build it is. */
export function builtApp(build: string): BuiltImage {
  return image([file('build', build), program('app', waiting('sleep 1000', 'TERM'))], {
    Env: ['PATH=/bin'],
    Entrypoint: ['/app'],
  })
}

function kimai(page: string): BuiltImage {
  return image(
    [
      passwd('www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin'),
      ...['opt/kimai', 'opt/kimai/public', 'opt/kimai/var', 'opt/kimai/var/data', 'opt/kimai/var/log'].map(
        (name) => dir(name, WWW_DATA),
      ),
      dir('opt/kimai/var/plugins', { ...WWW_DATA, mode: 0o775 }),
      file('opt/kimai/var/plugins/.gitkeep', '', WWW_DATA),
      file('opt/kimai/public/index.html', page),
      program(
        'entrypoint.sh',
        `[ -n "$DATABASE_URL" ] || exit 1
[ -e var/data/installed ] || echo "installed for $ADMINMAIL" >var/data/installed
${waiting('busybox httpd -f -p 8001 -h /opt/kimai/public', 'TERM')}`,
      ),
    ],
    {
      User: 'www-data',
      Env: ['PATH=/bin', 'ADMINMAIL=admin@kimai.local', 'ADMINPASS=changemeplease'],
      Entrypoint: ['/entrypoint.sh'],
      WorkingDir: '/opt/kimai',
      Volumes: ['/opt/kimai/var'],
      ExposedPorts: ['8001/tcp'],
    },
  )
}

/** `nginx -t` reads the configuration; what it was run with is left in /run/tested for the test to see. */
function nginx(): BuiltImage {
  return image(
    [
      ...['etc/nginx', 'etc/nginx/conf.d', 'usr', 'usr/sbin', 'run'].map((name) => dir(name)),
      file('etc/nginx/conf.d/default.conf', 'server { listen 80; }\n'),
      program(
        'usr/sbin/nginx',
        `conf=/etc/nginx/conf.d/default.conf
if [ "\${1-}" = -t ]; then
  { id -u; env; } >/run/tested
  grep -q '^  listen [0-9.:]*;$' "$conf" && echo "nginx: configuration file $conf test is successful" >&2 && exit 0
  echo "nginx: [emerg] no listen in $conf" >&2
  exit 1
fi
mkdir /run/www
busybox sed -n 's/.*return 200 "\\(.*\\)\\\\n".*/\\1/p' "$conf" >/run/www/index.html
${waiting(`busybox httpd -f -p "$(busybox sed -n 's/^  listen \\(.*\\);$/\\1/p' "$conf")" -h /run/www`, 'QUIT')}`,
      ),
      program('docker-entrypoint.sh', 'exec "$@"'),
    ],
    {
      Env: ['PATH=/usr/sbin:/bin', 'NGINX_VERSION=1.27.5'],
      Entrypoint: ['/docker-entrypoint.sh'],
      Cmd: ['nginx', '-g', 'daemon off;'],
      ExposedPorts: ['80/tcp'],
      StopSignal: 'SIGQUIT',
    },
  )
}

function giteaFor(architecture: string): BuiltImage {
  const own = [
    passwd('git:x:1000:1000:Git User:/var/lib/gitea/git:/bin/bash'),
    ...['usr', 'usr/bin', 'usr/local', 'usr/local/bin', 'var', 'var/lib'].map((name) => dir(name)),
    dir('var/lib/gitea', { ...GIT, mode: 0o750 }),
    file('var/lib/gitea/shipped', 'with the image', GIT),
    dir('var/lib/gitea/cache', GIT),
    file('var/lib/gitea/cache/stale', '', GIT),
    dir('etc/gitea', { ...GIT, mode: 0o750 }),
    file('etc/gitea/app.ini.example', `; ${architecture}\n`, GIT),
    program('usr/bin/dumb-init', '[ "$1" != -- ] || shift\nexec "$@"'),
    program('usr/local/bin/gitea', 'echo "Gitea version 1.24 for $HOME" | busybox tee "$HOME/version"'),
    program(
      'usr/local/bin/docker-entrypoint.sh',
      waiting('busybox httpd -f -p "$GITEA__server__HTTP_PORT" -h /etc/gitea-settings', 'TERM'),
    ),
  ]
  return image(
    own,
    {
      User: '1000:1000',
      Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'GITEA_WORK_DIR=/var/lib/gitea'],
      Entrypoint: ['/usr/bin/dumb-init', '--', '/usr/local/bin/docker-entrypoint.sh'],
      WorkingDir: '/var/lib/gitea',
      Volumes: ['/var/lib/gitea', '/etc/gitea'],
      ExposedPorts: ['2222/tcp', '3000/tcp'],
    },
    architecture,
  )
}

function image(parts: readonly LayerPart[], config: ConfigInput, architecture?: string): BuiltImage {
  const platform = architecture === undefined ? {} : { platform: { os: 'linux', architecture } }
  return buildImage({ layers: [busyboxLayer(), layer(parts)], config, ...platform })
}

function passwd(...lines: readonly string[]): LayerPart {
  return file('etc/passwd', `${['root:x:0:0:root:/root:/bin/sh', ...lines].join('\n')}\n`)
}

function program(name: string, script: string): LayerPart {
  return file(name, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

/** Runs a server and ends at a signal, which the kernel does not deliver to a first process that has no handler. */
function waiting(server: string, signal: 'TERM' | 'QUIT'): string {
  return `trap 'exit 0' ${signal}\n${server} &\nwait $!`
}

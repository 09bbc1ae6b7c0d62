/** Commands over the apps of a state folder. */
import type { CommandSpec } from '../command-spec.ts'
import { FILES, NAME, NAMESPACE, NO_WAIT, OUTPUT, RUNTIME, STATE, WAIT_TIMEOUT } from './common.ts'

const WAITING = [NO_WAIT, WAIT_TIMEOUT, STATE, NAMESPACE]

export const APP_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'up',
    summary: 'apply resources, start a controller when none runs, wait until the apps are ready',
    details:
      'Nothing is stored when any document of any file is invalid. Applying the same files again changes nothing. ' +
      'A document that carries a status (from "status -o yaml" or "render") brings its pinned digest along. ' +
      'Interrupting the wait leaves the apps starting. A new container must stay up for half a second, and one that ended meanwhile for 5 seconds.',
    options: [{ ...FILES, required: true }, ...WAITING, RUNTIME, OUTPUT],
    examples: [
      { words: 'up -f app.yaml', says: 'run what app.yaml describes' },
      { words: 'up -f apps/ --wait-timeout 10m', says: 'every .yaml, .yml and .json file of a folder' },
      { words: 'up -f app.yaml --no-wait', says: 'store it and return at once' },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/up.ts')).up,
  },
  {
    name: 'down',
    summary: 'stop and forget apps; their volumes are kept',
    details:
      'Volumes follow "retain" in the spec: they are kept unless it says Delete. A later "up" under the same name finds them. ' +
      '--volumes is the explicit word to delete all of them. With -f, Secrets and ConfigMaps of the files go, too, unless another app uses them.',
    arguments: [{ ...NAME, name: '[name...]' }],
    options: [
      FILES,
      { flags: '--volumes', description: 'also delete the volumes and all data in them' },
      ...WAITING,
    ],
    examples: [
      { words: 'down mattermost', says: 'stop the app, keep its data' },
      { words: 'down -f app.yaml --volumes', says: 'remove the apps of a file with their data' },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/down.ts')).down,
  },
  {
    name: 'status',
    summary: 'show all apps, or one app in full',
    arguments: [{ ...NAME, name: '[name]' }],
    options: [
      { ...NAMESPACE, description: 'only the apps of this namespace' },
      { flags: '-A, --all-namespaces', description: 'the apps of every namespace (the default)' },
      { flags: '-w, --watch', description: 'go on and print what changes' },
      OUTPUT,
      STATE,
    ],
    examples: [
      { words: 'status', says: 'a table of all apps' },
      { words: 'status mattermost -o yaml', says: 'the resource with its status' },
    ],
    load: async () => (await import('../commands/status.ts')).status,
  },
  {
    name: 'logs',
    summary: "print what an app's container wrote to stdout and stderr",
    arguments: [NAME],
    options: [
      { flags: '-f, --follow', description: 'go on with what is written from now on' },
      { flags: '--tail <lines>', description: 'only the last lines', kind: 'text' },
      STATE,
      NAMESPACE,
    ],
    examples: [
      { words: 'logs mattermost -f --tail 20', says: 'the last 20 lines and everything after them' },
    ],
    load: async () => (await import('../commands/logs.ts')).logs,
  },
  {
    name: 'exec',
    summary: "run a command in an app's container",
    details:
      "The command runs as the app does: same user and groups, working directory and environment. Its exit code is fairlead's. " +
      'Options come before the name; everything after it belongs to the command.',
    arguments: [
      NAME,
      { name: 'command...', description: 'the command and its arguments, after --', kind: 'text' },
    ],
    options: [
      { flags: '-i, --interactive', description: 'pass standard input on' },
      { flags: '-t, --tty', description: 'give the command a terminal; needs one' },
      STATE,
      NAMESPACE,
    ],
    examples: [
      { words: 'exec mattermost -- id', says: 'one command' },
      { words: 'exec -it postgres -- psql -U app', says: 'something to talk to' },
    ],
    needsRoot: true,
    passThrough: true,
    load: async () => (await import('../commands/exec.ts')).exec,
  },
  {
    name: 'rebuild',
    summary: 'resolve the reference anew and move to the digest that it names now',
    details:
      'What runs goes on running until the new image is pulled, checked and ready to start. Where nobody answers, the ' +
      'rebuild stays wanted, also after the command has ended, until it works or is taken back by --cancel, rollback ' +
      'or restart.',
    arguments: [NAME],
    options: [
      { flags: '--cancel', description: 'take back a rebuild or rollback that has had no answer yet' },
      ...WAITING,
      OUTPUT,
    ],
    examples: [
      { words: 'rebuild mattermost', says: 'prints the old and the new digest' },
      { words: 'rebuild mattermost --cancel', says: 'not any more: the pin stays' },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/rebuild.ts')).rebuild,
  },
  {
    name: 'rollback',
    summary: 'go back to a digest that ran before',
    arguments: [NAME],
    options: [
      {
        flags: '--to <digest>',
        description: 'a digest of status.image.history, or its beginning (default: the newest)',
        kind: 'text',
      },
      ...WAITING,
      OUTPUT,
    ],
    examples: [
      { words: 'rollback mattermost', says: 'the digest before the current one' },
      { words: 'rollback mattermost --to sha256:0f5a61ce', says: 'a certain one' },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/rollback.ts')).rollback,
  },
  {
    name: 'restart',
    summary: 'replace the container by a fresh one of the same digest',
    arguments: [NAME],
    options: [...WAITING, OUTPUT],
    examples: [{ words: 'restart mattermost', says: 'stop gracefully, start again' }],
    needsRoot: true,
    load: async () => (await import('../commands/restart.ts')).restart,
  },
]

/** Commands around the program itself. */
import type { CommandSpec } from '../command-spec.ts'
import { OUTPUT, STATE } from './common.ts'
import { CONTROLLER_COMMAND } from './controller.ts'

export const HOST_COMMANDS: readonly CommandSpec[] = [
  CONTROLLER_COMMAND,
  {
    name: 'gc',
    summary: 'remove images that no app needs from the state folder',
    details:
      'Kept are what every app is pinned to, the digests that it could be rolled back to, and what a container or the controller uses. Volumes are never touched. It may run at any time, also beside a controller that pulls. With --verify, what is damaged is told by path and goes as well, unless it is in use; the exit code is then 1. What went comes again when its image is unpacked next: files that are whole are used on without the layers that they came from.',
    options: [
      { flags: '--dry-run', description: 'only say what would be removed' },
      {
        flags: '--verify',
        description: 'first compare every blob with its digest and every merged tree with its layers',
      },
      { flags: '--verbose', description: 'name everything: what goes, what stays and why' },
      OUTPUT,
      STATE,
    ],
    examples: [
      { words: 'gc --dry-run', says: 'what it would free' },
      { words: 'gc', says: 'free it' },
      {
        words: 'gc --verify',
        says: 'look for damage, and take away what is damaged as well',
      },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/gc.ts')).gc,
  },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    arguments: [{ name: 'shell', description: 'bash, zsh or fish', kind: 'text' }],
    examples: [
      { words: 'completion bash', says: 'put it into /etc/bash_completion.d/fairlead' },
      { words: 'completion zsh', says: 'put it into a folder of $fpath as _fairlead' },
      { words: 'completion fish', says: 'put it into ~/.config/fish/completions/fairlead.fish' },
    ],
    load: async () => (await import('../commands/completion.ts')).completion,
  },
  {
    name: 'version',
    summary: 'print the versions of fairlead, node and the runtimes',
    options: [
      {
        flags: '-o, --output <format>',
        description: 'table (the default), json or yaml',
        choices: ['table', 'json', 'yaml'],
      },
    ],
    examples: [{ words: 'version', says: 'for a bug report' }],
    load: async () => (await import('../commands/version.ts')).version,
  },
  {
    name: '__complete',
    summary: 'print words for a shell to complete',
    arguments: [
      { name: 'what', description: 'apps or volumes', kind: 'text' },
      { name: '[name]', description: 'the app', kind: 'text' },
    ],
    options: [STATE],
    hidden: true,
    load: async () => (await import('../commands/complete.ts')).complete,
  },
]

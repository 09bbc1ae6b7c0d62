/** Commands around the program itself. */
import type { CommandSpec } from '../command-spec.ts'
import { RUNTIME, STATE } from './common.ts'

export const HOST_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'controller',
    summary: 'run the controller in the foreground, JSON logs to stderr',
    details:
      '"up" starts one in the background when none runs. SIGTERM and SIGINT end it gracefully; containers keep running.',
    options: [
      { flags: '--engine <engine>', description: 'local', choices: ['local', 'kubernetes'], required: true },
      { flags: '--exit-when-idle', description: 'end when no app is left' },
      RUNTIME,
      {
        flags: '--log-level <level>',
        description: 'debug, info (the default), warn or error',
        choices: ['debug', 'info', 'warn', 'error'],
      },
      STATE,
    ],
    examples: [{ words: 'controller --engine local', says: 'for a service manager' }],
    needsRoot: true,
    load: async () => (await import('../commands/controller.ts')).controller,
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

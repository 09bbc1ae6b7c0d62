/** What pods that prepare volumes run. Hidden: nobody types it. */
import type { CommandSpec } from '../command-spec.ts'

export const PREFLIGHT_COMMAND: CommandSpec = {
  name: 'preflight',
  summary: 'prepare the volumes of an app in a cluster',
  hidden: true,
  commands: [
    {
      name: 'run',
      summary: 'do the task in $FAIRLEAD_PREFLIGHT and write a report',
      options: [
        {
          flags: '--report <file>',
          description: "where the report goes (default: the container's termination message)",
          kind: 'file',
        },
      ],
      hidden: true,
      load: async () => (await import('../commands/preflight-run.ts')).preflightRun,
    },
    {
      name: 'write-holder',
      summary: 'write the program that keeps a container of any image there',
      arguments: [{ name: 'dir', description: 'folder that the container sees', kind: 'folder' }],
      hidden: true,
      load: async () => (await import('../commands/preflight-write-holder.ts')).preflightWriteHolder,
    },
  ],
}

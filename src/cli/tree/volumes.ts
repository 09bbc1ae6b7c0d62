/** Commands over volumes. */
import type { ArgumentSpec, CommandSpec, OptionSpec } from '../command-spec.ts'
import { NAME, NAMESPACE, OUTPUT, STATE, VOLUME_PATH } from './common.ts'

const OPTIONAL_NAME: ArgumentSpec = { ...NAME, name: '[name]' }
const OPTIONAL_PATH: ArgumentSpec = { ...VOLUME_PATH, name: '[path]' }
const CLAIM: OptionSpec = {
  flags: '--claim <claim>',
  description: 'a volume by its claim name instead of app and path, such as one that several apps share',
  kind: 'text',
}

export const VOLUME_COMMAND: CommandSpec = {
  name: 'volumes',
  summary: 'list, delete, save and restore volumes',
  commands: [
    {
      name: 'ls',
      summary: 'list volumes, also of apps that are gone',
      arguments: [OPTIONAL_NAME],
      options: [
        { flags: '--size', description: 'count the bytes, which may take a while' },
        OUTPUT,
        STATE,
        NAMESPACE,
      ],
      examples: [{ words: 'volumes ls mattermost --size', says: 'the volumes of one app' }],
      load: async () => (await import('../commands/volumes-ls.ts')).volumesLs,
    },
    {
      name: 'rm',
      summary: 'delete a volume and all data in it',
      details: 'Refused while a container mounts the volume or its app is about to.',
      arguments: [OPTIONAL_NAME, OPTIONAL_PATH],
      options: [CLAIM, STATE, NAMESPACE],
      examples: [{ words: 'volumes rm mattermost /mattermost/logs', says: 'for good' }],
      needsRoot: true,
      load: async () => (await import('../commands/volumes-rm.ts')).volumesRm,
    },
    {
      name: 'export',
      summary: 'write a volume as a tar that keeps owners, modes, links and xattrs',
      details: 'The app may run meanwhile; what it writes then may be in the archive or not.',
      arguments: [OPTIONAL_NAME, OPTIONAL_PATH],
      options: [
        {
          flags: '-o, --output <file>',
          description: 'file to write, or - for standard output (the default)',
          kind: 'file',
        },
        CLAIM,
        STATE,
        NAMESPACE,
      ],
      examples: [{ words: 'volumes export mattermost /mattermost/data -o data.tar', says: 'a backup' }],
      needsRoot: true,
      load: async () => (await import('../commands/volumes-export.ts')).volumesExport,
    },
    {
      name: 'import',
      summary: 'fill a volume from a tar',
      details: 'Whole or not at all. The volume need not exist yet; no container may mount it.',
      arguments: [
        OPTIONAL_NAME,
        OPTIONAL_PATH,
        { name: '[file]', description: 'the tar, or - for standard input (the default)', kind: 'file' },
      ],
      options: [{ flags: '--replace', description: 'delete what is in the volume' }, CLAIM, STATE, NAMESPACE],
      examples: [
        { words: 'volumes import mattermost /mattermost/data data.tar --replace', says: 'restore a backup' },
      ],
      needsRoot: true,
      load: async () => (await import('../commands/volumes-import.ts')).volumesImport,
    },
  ],
}

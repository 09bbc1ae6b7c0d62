/** Commands that need no state: images and files. */
import type { CommandSpec } from '../command-spec.ts'
import { CLUSTER_RENDERING, forKubernetes, PREFLIGHT_RENDERING } from './cluster-rendering.ts'
import { FILES, LAYER_SEMANTICS_OPTION, NAMESPACE, OUTPUT, PLATFORM, REFERENCE, STATE } from './common.ts'

const LISTED_BUT_LOST =
  'With --layer-semantics overlayfs, names that nodes list in a directory but cannot open are left out of the tree.'

export const IMAGE_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'resolve',
    summary: 'say which digest a reference names now',
    arguments: [REFERENCE],
    options: [PLATFORM, OUTPUT],
    examples: [
      { words: 'resolve kimai/kimai2:apache', says: 'ask the registry' },
      { words: 'resolve oci:./layout:latest -o json', says: 'a layout on disk, opened read-only' },
    ],
    load: async () => (await import('../commands/resolve.ts')).resolveReference,
  },
  {
    name: 'inspect',
    summary: "show an image's configuration: user, entrypoint, volumes, layers",
    details:
      'With --tags, tags made of a digest (sha256-…) are left out: they only hold what refers to an image, such as signatures.',
    arguments: [REFERENCE],
    options: [
      {
        flags: '--tags',
        description: "the repository's tags instead; a tag in the reference does not matter",
      },
      {
        flags: '--referrers',
        description: 'what refers to the image instead: signatures, attestations, SBOMs',
      },
      {
        flags: '--artifact-type <type>',
        description: 'with --referrers: only those of this type',
        kind: 'text',
      },
      PLATFORM,
      OUTPUT,
    ],
    examples: [
      { words: 'inspect oci:./layout:latest', says: 'what the image asks for' },
      { words: 'inspect nginx --tags', says: 'which tags there are' },
      { words: 'inspect registry.example.com/app:1 --referrers', says: 'what was signed or said about it' },
    ],
    load: async () => (await import('../commands/inspect.ts')).inspect,
  },
  {
    name: 'explain',
    summary: 'say step by step how an image is found: hosts, credentials by name, answers',
    details:
      'Asks the registry and its mirrors as a controller would and shows everything that is done: addresses, certificates, logins in ' +
      'their order, redirects, quotas, and where it ends. Secrets are never shown. With -f the images of apps, each with its pullSecrets; ' +
      'one that is missing is told, and the image is looked for without it. Exit 1 when an image is not found, or a pull secret ' +
      "can't be used.",
    arguments: [{ ...REFERENCE, name: '[reference]' }],
    options: [FILES, PLATFORM, NAMESPACE, OUTPUT, STATE],
    examples: [
      { words: 'explain registry.example.com/team/app:1', says: 'why it is found, or not' },
      { words: 'explain -f app.yaml', says: "with the app's own pull secrets" },
    ],
    load: async () => (await import('../commands/explain.ts')).explain,
  },
  {
    name: 'unpack',
    summary: "write an image's merged tree to a folder",
    details:
      'The tree goes to DIR/rootfs, with --bundle also DIR/config.json, ready for "runc run". Owners need root. ' +
      LISTED_BUT_LOST,
    arguments: [
      REFERENCE,
      { name: 'dir', description: 'folder to make; it must be empty or not there', kind: 'folder' },
    ],
    options: [
      { flags: '--bundle', description: 'make it a bundle: write config.json, too' },
      {
        flags: '--report <file>',
        description: 'write what was dropped and where other engines differ, as JSON; - for standard output',
        kind: 'file',
      },
      LAYER_SEMANTICS_OPTION,
      PLATFORM,
    ],
    examples: [
      { words: 'unpack oci:./layout:latest /tmp/tree', says: 'the files in /tmp/tree/rootfs' },
      { words: 'unpack nginx:1.27 /tmp/nginx --bundle', says: 'then: runc run -b /tmp/nginx test' },
    ],
    needsRoot: true,
    load: async () => (await import('../commands/unpack.ts')).unpack,
  },
  {
    name: 'diff',
    summary: 'compare images, folders, running apps and volumes, file by file and byte for byte',
    details:
      'A and B are each an image, a folder (a path that begins with / or .), the root of a running app (app://NAME) or a ' +
      'volume of an app (volume://NAME:/PATH). Alone, an app is compared with the image that it runs and a volume with the ' +
      'image that it was seeded from; beside a volume only its folder of the image counts. What is mounted into an app is ' +
      'no part of its root. Configuration is compared between two images only, ' +
      'without what nothing here uses (HEALTHCHECK, ONBUILD, SHELL, the stop timeout); with a folder, an app or a volume only files ' +
      `are. Of a file its content counts, whatever its size and time say, and so do mode, owner, links, attributes and its own time. Exit 0 also with differences, unless --exit-code says otherwise. ${LISTED_BUT_LOST}`,
    arguments: [
      { name: 'a', description: 'image, folder, app://NAME or volume://NAME:/PATH', kind: 'compared' },
      { name: '[b]', description: 'the same: what it has become', kind: 'compared' },
    ],
    options: [
      {
        flags: '--times',
        description: 'also count and show, with -o json too, directories of which only the time differs',
      },
      {
        flags: '--limit <count>',
        description: 'at most so many lines of files (default: 200 on a terminal, else all)',
        kind: 'text',
      },
      {
        flags: '--exit-code',
        description: 'exit 1 when something differs, 0 when nothing does, 3 when it cannot be told',
      },
      LAYER_SEMANTICS_OPTION,
      PLATFORM,
      NAMESPACE,
      OUTPUT,
      STATE,
    ],
    examples: [
      { words: 'diff nginx:1.27 nginx:1.28', says: 'what an update brings' },
      { words: 'diff oci:./layout:v1 ./tree', says: 'an image against a folder' },
      { words: 'diff app://mattermost', says: 'what a running app has written over its image' },
      { words: 'diff volume://mattermost:/data', says: 'what has changed in a volume since it was seeded' },
      { words: 'diff nginx:1.28 volume://chat/web:/data', says: "another image's folder against a volume" },
    ],
    load: async () => (await import('../commands/diff.ts')).diff,
  },
  {
    name: 'check',
    summary: 'say everything that is wrong with files before anything is applied',
    details:
      'Checks the resources, then their images: user, entrypoint, hooks, volumes. Exit 2 when a resource is invalid, 1 when an image ' +
      'does not fit to it, 0 when there are at most warnings.',
    options: [
      { ...FILES, required: true },
      {
        flags: '--engine <engine>',
        description: 'local (the default) or kubernetes',
        choices: ['local', 'kubernetes'],
      },
      { flags: '--no-images', description: 'only the resources, no image is read' },
      NAMESPACE,
      OUTPUT,
      STATE,
      ...forKubernetes(CLUSTER_RENDERING),
    ],
    examples: [
      { words: 'check -f app.yaml', says: 'all problems at once' },
      { words: 'check -f app.yaml --engine kubernetes', says: 'what a cluster would say, without one' },
    ],
    load: async () => (await import('../commands/check.ts')).check,
  },
  {
    name: 'render',
    summary: 'print what the controller would apply',
    details:
      "From the pin in the document's own status where it has one, else as at first apply. For the local engine the " +
      'output is accepted by "up -f" and holds the values of Secrets that the files bring along. For a cluster it is the objects that ' +
      'the controller would make; no cluster is asked.',
    options: [
      { ...FILES, required: true },
      {
        flags: '--engine <engine>',
        description: 'local or kubernetes',
        choices: ['local', 'kubernetes'],
        required: true,
      },
      NAMESPACE,
      STATE,
      ...forKubernetes([...CLUSTER_RENDERING, ...PREFLIGHT_RENDERING]),
    ],
    examples: [
      { words: 'render -f app.yaml --engine local', says: 'the resource with its pin, and the bundle' },
      { words: 'render -f app.yaml --engine kubernetes', says: 'claims, Service and workload' },
    ],
    load: async () => (await import('../commands/render.ts')).render,
  },
]

/**
 * The image's labels and config as runtime annotations (image-spec conversion.md), without those that would steer the
 * runtime itself: an image must not decide what the host does.
 */
import { printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import type { ImageConfig } from '../image/types.ts'

/**
 * Annotations that runc or crun act upon. With crun, `run.oci.hooks.stdout` alone makes root create a file on the
 * host (oci.md §1). A name that ends in `.` stands for everything below it.
 */
const RUNTIME_ANNOTATIONS = [
  'bundle',
  'org.systemd.property.',
  'org.criu.',
  'run.oci.',
  'krun.',
  'module.wasm.image/variant',
  'io.kubernetes.cri.container-type',
]

/**
 * Annotations of an image, sorted by name: implicit ones from the config, over them the labels (conversion.md: labels
 * win), over them `own`, which only the engine sets.
 */
export function imageAnnotations(
  config: ImageConfig,
  own: Readonly<Record<string, string>>,
): { readonly annotations: Readonly<Record<string, string>>; readonly warnings: readonly Issue[] } {
  const labels = Object.entries(config.labels)
  const safe = labels.filter(([name]) => name !== '' && !drivesRuntime(name))
  const warnings = labels
    .filter(([name]) => name === '' || drivesRuntime(name))
    .map(([name]) => labelIgnored(name))
  const all = new Map([...implicitAnnotations(config), ...safe, ...Object.entries(own)])
  return { annotations: Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1))), warnings }
}

/** Whether a runtime would act upon this annotation. */
export function drivesRuntime(name: string): boolean {
  return RUNTIME_ANNOTATIONS.some((known) => (known.endsWith('.') ? name.startsWith(known) : name === known))
}

function implicitAnnotations(config: ImageConfig): readonly [string, string][] {
  const values: Record<string, string | undefined> = {
    os: config.platform.os,
    architecture: config.platform.architecture,
    variant: config.platform.variant,
    'os.version': config.platform.osVersion,
    author: config.author,
    created: config.created,
    stopSignal: config.stopSignal,
    exposedPorts: [...config.exposedPorts].sort().join(','),
  }
  return Object.entries(values).flatMap(([name, value]): [string, string][] =>
    value === undefined || value === '' ? [] : [[`org.opencontainers.image.${name}`, value]],
  )
}

function labelIgnored(name: string): Issue {
  const why =
    name === ''
      ? 'an annotation needs a name'
      : 'as an annotation it would steer the container runtime, which is not for an image to decide'
  return {
    severity: 'warning',
    reason: 'LabelIgnored',
    path: `config.Labels[${printable(name)}]`,
    message: `the image's label "${printable(name)}" is left out of the annotations: ${why}`,
  }
}

/** Arguments and options that many commands share: one wording, one meaning. */
import type { ArgumentSpec, OptionSpec } from '../command-spec.ts'
import { LAYER_SEMANTICS } from '../../image/layer-semantics.ts'
import { OUTPUT_OPTION } from '../output.ts'

export const NAME: ArgumentSpec = {
  name: 'name',
  description: 'the app: name or namespace/name',
  kind: 'app',
}
export const VOLUME_PATH: ArgumentSpec = {
  name: 'path',
  description: "the volume's path in the container",
  kind: 'volume',
}
export const REFERENCE: ArgumentSpec = {
  name: 'reference',
  description: 'a reference such as nginx:1.27, oci:PATH[:TAG] or oci-archive:FILE[:TAG]',
  kind: 'reference',
}

export const STATE: OptionSpec = {
  flags: '--state <dir>',
  description: 'state folder (default: $FAIRLEAD_STATE, else /var/lib/fairlead)',
  kind: 'folder',
}
export const NAMESPACE: OptionSpec = {
  flags: '-n, --namespace <namespace>',
  description: 'namespace of what names none (default: default)',
  kind: 'text',
}
export const FILES: OptionSpec = {
  flags: '-f, --file <file...>',
  description: 'files, folders or - for standard input; YAML or JSON, many documents each',
  kind: 'file',
}
export const RUNTIME: OptionSpec = {
  flags: '--runtime <runtime>',
  description: 'runtime of new containers: runc or crun (default: as configured, else runc)',
  choices: ['runc', 'crun'],
}
export const NO_WAIT: OptionSpec = {
  flags: '--no-wait',
  description: 'return at once, do not wait until it is done',
}
export const WAIT_TIMEOUT: OptionSpec = {
  flags: '--wait-timeout <duration>',
  description: 'how long to wait, such as 90s (default: 5m)',
  kind: 'text',
}
export const PLATFORM: OptionSpec = {
  flags: '--platform <platform>',
  description: "os/architecture[/variant] (default: this host's)",
  kind: 'text',
}
export const LAYER_SEMANTICS_OPTION: OptionSpec = {
  flags: '--layer-semantics <rules>',
  description:
    'merge layers as the image specification says (spec, the default) or as Kubernetes nodes show them',
  choices: LAYER_SEMANTICS,
}
export { OUTPUT_OPTION as OUTPUT }

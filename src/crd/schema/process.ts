/** What runs: command, environment, hooks. Absent means: as the image says. */
import { z } from 'zod'

import {
  absolutePath,
  envName,
  keySelector,
  matching,
  MAX_ARGUMENT,
  MAX_ARGUMENTS,
  objectName,
  text,
  whole,
} from './fields.ts'

export const HOOK_STAGES = [
  'StartContainer',
  'CreateRuntime',
  'CreateContainer',
  'Poststart',
  'Poststop',
] as const
/** A hook that runs longer than this is a service. */
export const MAX_HOOK_TIMEOUT_SECONDS = 3600

const USER = /^[^:\s]+(:[^:\s]+)?$/

/** argv, in order. */
export function argumentList(description: string) {
  return z
    .array(text(MAX_ARGUMENT))
    .max(MAX_ARGUMENTS)
    .optional()
    .meta({ description, 'x-kubernetes-list-type': 'atomic' })
}

const valueFromSchema = z
  .strictObject({
    secretKeyRef: keySelector('Secret').optional().meta({ description: 'A key of a Secret.' }),
    configMapKeyRef: keySelector('ConfigMap').optional().meta({ description: 'A key of a ConfigMap.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
        message: 'exactly one of secretKeyRef and configMapKeyRef must be set',
      },
    ],
  })

export const envVarSchema = z
  .strictObject({
    name: envName().meta({ description: 'Name of the variable.' }),
    value: text(MAX_ARGUMENT)
      .optional()
      .meta({ description: 'Value as text; numbers need quotes in YAML. Default: empty.' }),
    valueFrom: valueFromSchema
      .optional()
      .meta({ description: 'Where the value comes from, instead of value.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: '!(has(self.value) && has(self.valueFrom))',
        message: 'value and valueFrom exclude each other',
      },
    ],
  })

function envSource(kind: string) {
  return z.strictObject({
    name: objectName().meta({ description: `Name of the ${kind} in the app's namespace.` }),
    optional: z
      .boolean()
      .optional()
      .meta({ description: `true: start without it when the ${kind} is missing.` }),
  })
}

export const envFromSchema = z
  .strictObject({
    prefix: envName().optional().meta({ description: 'Put before every name.' }),
    secretRef: envSource('Secret').optional().meta({ description: 'Every key of a Secret.' }),
    configMapRef: envSource('ConfigMap').optional().meta({ description: 'Every key of a ConfigMap.' }),
  })
  .meta({
    'x-kubernetes-validations': [
      {
        rule: 'has(self.secretRef) != has(self.configMapRef)',
        message: 'exactly one of secretRef and configMapRef must be set',
      },
    ],
  })

const hookEnvSchema = z.strictObject({
  name: envName().meta({ description: 'Name of the variable.' }),
  value: text(MAX_ARGUMENT).optional().meta({ description: 'Value as text. Default: empty.' }),
})

export const hookSchema = z.strictObject({
  stage: z.enum(HOOK_STAGES).optional().meta({
    description:
      'Stage of the OCI runtime. StartContainer (default) runs inside the container as its user, before the entrypoint. The others run on the host and only from paths that the operator allows.',
  }),
  path: absolutePath().meta({
    description:
      'Absolute path of the executable: in the container for StartContainer, on the host for the others.',
  }),
  args: argumentList('Arguments after the path.'),
  env: z
    .array(hookEnvSchema)
    .max(64)
    .optional()
    .meta({
      description: "The hook's whole environment beside a PATH of ours: nothing is inherited.",
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
  timeoutSeconds: whole(1, MAX_HOOK_TIMEOUT_SECONDS)
    .optional()
    .meta({ description: 'Seconds until the hook is killed and has failed. Default 5.' }),
})

export const userSchema = matching(
  USER,
  'user or user:group, names or numbers, in quotes when it is a number',
  256,
)

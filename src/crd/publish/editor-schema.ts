/** JSON Schema for editors: completion, hover texts and unknown fields underlined while typing. */
import { z } from 'zod'

import { API_VERSION, KIND } from '../labels.ts'
import { appName, namespaceName } from '../schema/fields.ts'
import { specSchema } from '../schema/spec.ts'
import { isFields } from '../view.ts'

const resource = z
  .strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(KIND),
    metadata: z
      .looseObject({
        name: appName().meta({ description: 'Name of the app, its workload and its Service.' }),
        namespace: namespaceName().optional().meta({ description: 'Namespace. Default: default.' }),
        labels: z.record(z.string(), z.string()).optional(),
        annotations: z.record(z.string(), z.string()).optional(),
      })
      .meta({ description: 'As of every Kubernetes object.' }),
    spec: specSchema,
    status: z.looseObject({}).optional().meta({ description: 'Written by Fairlead.' }),
  })
  .meta({ title: KIND, description: 'An app that Fairlead runs.' })

/** `manifests/containerapp.schema.json`, draft 7: the one that editors know. */
export function editorSchemaJson(): string {
  const schema = withoutKubernetes(z.toJSONSchema(resource, { target: 'draft-07', io: 'input' }))
  return `${JSON.stringify(schema, undefined, 2)}\n`
}

/** Members that only an API server reads. */
function withoutKubernetes(value: unknown): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(withoutKubernetes)
  if (!isFields(value)) return value
  const kept = Object.entries(value).filter(([key]) => !key.startsWith('x-kubernetes-'))
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutKubernetes(member)]))
}

/** The CustomResourceDefinition: names, columns and subresources around the structural schema. */
import { API_VERSION, GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION } from '../labels.ts'
import { appName } from '../schema/fields.ts'
import { specSchema } from '../schema/spec.ts'
import { statusSchema } from '../schema/status.ts'
import { toStructural } from '../structural.ts'
import type { JsonSchema } from '../structural.ts'
import { toYaml } from '../to-yaml.ts'
import { fieldsOf } from '../view.ts'

const COLUMNS = [
  { name: 'Image', type: 'string', jsonPath: '.spec.image' },
  { name: 'Digest', type: 'string', jsonPath: '.status.image.shortDigest' },
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason', priority: 1 },
  {
    name: 'Message',
    type: 'string',
    jsonPath: '.status.conditions[?(@.type=="Ready")].message',
    priority: 1,
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
]

/** The CRD as an object that an API server accepts. */
export function crdObject(): JsonSchema {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: SINGULAR,
        shortNames: [SHORT_NAME],
        // `all`: the app is what a user wrote, and deleting it deletes no data.
        categories: ['fairlead', 'all'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.workload.replicas',
              labelSelectorPath: '.status.workload.selector',
            },
          },
          additionalPrinterColumns: COLUMNS,
          // kubectl get capp --field-selector spec.image=… (KEP-4358).
          selectableFields: [{ jsonPath: '.spec.image' }],
          schema: { openAPIV3Schema: resourceSchema() },
        },
      ],
    },
  }
}

/** `manifests/crd.yaml`. */
export function crdYaml(): string {
  return `# Generated from src/crd by "npm run generate". Do not edit.\n${toYaml(crdObject())}`
}

function resourceSchema(): JsonSchema {
  const { pattern, maxLength } = toStructural(appName())
  return {
    type: 'object',
    description: `${KIND} (${API_VERSION}) runs one container image and keeps every promise that it makes.`,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object', properties: { name: { type: 'string', pattern, maxLength } } },
      spec: withScaleDefault(toStructural(specSchema)),
      status: toStructural(statusSchema),
    },
  }
}

/** The one default that is written into the object: `kubectl scale` and autoscalers read the field. */
function withScaleDefault(spec: JsonSchema): JsonSchema {
  const properties = fieldsOf(spec['properties'])
  return {
    ...spec,
    properties: { ...properties, replicas: { ...fieldsOf(properties['replicas']), default: 1 } },
  }
}

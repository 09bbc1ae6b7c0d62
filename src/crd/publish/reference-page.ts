/** `docs/resource.md`: one table an object, from the same descriptions as the CRD. */
import { API_VERSION, KIND, SHORT_NAME } from '../labels.ts'
import { specSchema } from '../schema/spec.ts'
import { statusSchema } from '../schema/status.ts'
import { openApi } from '../structural.ts'
import type { JsonSchema } from '../structural.ts'
import { fieldsOf, isFields, itemsOf, textOf } from '../view.ts'

const MAX_SAFE = Number.MAX_SAFE_INTEGER

const SAMPLE = `apiVersion: ${API_VERSION}
kind: ${KIND}
metadata: {name: mattermost, namespace: chat}
spec:
  image: mattermost/mattermost-team-edition:10.12
  volumes:
  - {path: /mattermost/plugins, size: 5Gi}
  ports: [{name: http, port: 8065}]
`

/** The whole page. */
export function referencePage(): string {
  return `${[header(), ...tables('spec', openApi(specSchema)), ...tables('status', openApi(statusSchema))].join('\n\n')}\n`
}

function header(): string {
  return `<!-- Generated from src/crd by "npm run generate". Do not edit. -->

# Resource reference

\`${KIND}\` (\`${API_VERSION}\`, short name \`${SHORT_NAME}\`). Fields that Kubernetes has too are named and meant as there.
An absent field means the default that its description tells; no default is written into the object, except \`replicas: 1\` on a cluster.
Unknown fields are refused everywhere but in \`metadata\`, \`podTemplate.metadata\` and \`podTemplate.spec\`. **Bold** fields are required.

\`\`\`yaml
${SAMPLE}\`\`\``
}

/** The table of an object, then those of the objects in it, in the order of the fields. */
function tables(path: string, node: JsonSchema): readonly string[] {
  const properties = Object.entries(fieldsOf(node['properties'])).map(
    ([name, child]) => [name, fieldsOf(child)] as const,
  )
  if (properties.length === 0) return []
  const required = itemsOf(node['required'])
  const rows = properties.map(([name, child]) => row(name, child, required.includes(name)))
  const table = ['| Field | Type | Meaning |', '|---|---|---|', ...rows].join('\n')
  const nested = properties.flatMap(([name, child]) => {
    const items = fieldsOf(child['items'])
    return child['type'] === 'array' ? tables(`${path}.${name}[]`, items) : tables(`${path}.${name}`, child)
  })
  return [`## ${path}\n\n${table}${rules(node)}`, ...nested]
}

function row(name: string, node: JsonSchema, isRequired: boolean): string {
  const shown = isRequired ? `**\`${name}\`**` : `\`${name}\``
  return `| ${shown} | ${cell(typeWords(node))} | ${cell(`${textOf(node['description']) ?? ''}${bounds(node)}`)} |`
}

function rules(node: JsonSchema): string {
  const messages = itemsOf(node['x-kubernetes-validations']).map(
    (rule) => textOf(fieldsOf(rule)['message']) ?? '',
  )
  return messages.length === 0 ? '' : `\n\n${messages.map((message) => `- ${message}`).join('\n')}`
}

function typeWords(node: JsonSchema): string {
  if (node['anyOf'] !== undefined) return 'string or integer'
  if (node['type'] === 'array') return `list of ${typeWords(fieldsOf(node['items']))}`
  const values = node['additionalProperties']
  if (isFields(values) && Object.keys(values).length > 0) return `map of ${typeWords(values)}`
  const choices = itemsOf(node['enum'])
  return choices.length > 0
    ? choices.map((choice) => `\`${String(choice)}\``).join(', ')
    : (textOf(node['type']) ?? 'any')
}

function bounds(node: JsonSchema): string {
  const { minimum, maximum, maxItems } = node
  const words: string[] = []
  const hasMaximum = typeof maximum === 'number' && maximum < MAX_SAFE
  if (node['type'] === 'integer' && typeof minimum === 'number' && hasMaximum)
    words.push(`${minimum} to ${maximum}.`)
  if (typeof maxItems === 'number') words.push(`At most ${maxItems}.`)
  return words.length === 0 ? '' : ` ${words.join(' ')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}

/** What fits together in a volume: its path, its medium and its source. */
import { finding, found, formatPath, quoted } from '../findings.ts'
import type { FieldPath, Finding } from '../findings.ts'
import { normalizePath, volumePathProblem } from '../path.ts'
import { fieldsOf, itemsOf, presentOf, textOf } from '../view.ts'
import type { Fields } from '../view.ts'
import { exactlyOne, unique } from './unions.ts'

const SOURCES = ['claimName', 'hostPath', 'configMap', 'secret']
/** Fields that shape a new claim, and so mean nothing where none is made. */
const CLAIM_FIELDS = ['size', 'storageClassName', 'accessModes', 'retain', 'dataSourceRef']
const MANY_WRITERS = 'ReadWriteMany'

export function checkVolumes(spec: Fields, base: FieldPath): readonly Finding[] {
  const volumes = itemsOf(spec['volumes']).map(fieldsOf)
  const defaults = fieldsOf(spec['volumeDefaults'])
  const at = (index: number): FieldPath => [...base, 'volumes', index]
  return [
    ...volumes.flatMap((volume, index) => checkPath(volume, at(index))),
    ...checkUnique(volumes, at),
    ...volumes.flatMap((volume, index) => checkSource(volume, at(index))),
    ...volumes.flatMap((volume, index) => checkMedium(volume, defaults, at(index))),
    ...volumes.flatMap((volume, index) => checkLayout(volume, defaults, at(index))),
    ...checkDefaults(defaults, [...base, 'volumeDefaults']),
    ...checkWriters(spec, volumes, defaults, base),
  ]
}

function checkPath(volume: Fields, base: FieldPath): readonly Finding[] {
  const path = textOf(volume['path'])
  const problem = path === undefined ? undefined : volumePathProblem(path)
  const field = [...base, 'path']
  return problem === undefined ? [] : [finding(field, `found ${found(path, field)}; ${problem}`)]
}

function checkUnique(volumes: readonly Fields[], at: (index: number) => FieldPath): readonly Finding[] {
  const keys = volumes.map((volume) => {
    const path = textOf(volume['path'])
    return path === undefined ? undefined : normalizePath(path)
  })
  return unique(
    keys,
    (index) => [...at(index), 'path'],
    (before) =>
      `is the same path as ${formatPath(at(before))}, ${quoted(keys[before] ?? '')}: keep one of them`,
  )
}

function checkSource(volume: Fields, base: FieldPath): readonly Finding[] {
  if (volume['source'] === undefined) return []
  const source = fieldsOf(volume['source'])
  const path = [...base, 'source']
  const isFiles = source['configMap'] !== undefined || source['secret'] !== undefined
  const excluded = isFiles ? [...CLAIM_FIELDS, 'seed'] : CLAIM_FIELDS
  return [
    ...exactlyOne(volume['source'], SOURCES, path),
    ...checkSubPath(source, path),
    ...presentOf(volume, excluded).map((field) =>
      finding([...base, field], `means nothing where source names storage that exists already: remove it`),
    ),
    ...(isFiles && volume['readOnly'] === false
      ? [
          finding(
            [...base, 'readOnly'],
            'must not be false: files of a ConfigMap or Secret are always read-only',
          ),
        ]
      : []),
  ]
}

function checkSubPath(source: Fields, base: FieldPath): readonly Finding[] {
  const subPath = textOf(source['subPath'])
  const path = [...base, 'subPath']
  if (subPath === undefined || !subPath.split('/').includes('..')) return []
  return [finding(path, `found ${found(subPath, path)}; must not contain "..": it stays inside the source`)]
}

/** A tmpfs lives in memory and ends with the container: nothing to claim, nothing to retain, and a limit it needs. */
function checkMedium(volume: Fields, defaults: Fields, base: FieldPath): readonly Finding[] {
  const medium = volume['medium'] ?? (volume['source'] === undefined ? defaults['medium'] : undefined)
  if (medium !== 'Memory') return []
  const inherited = volume['medium'] === undefined ? ' (from volumeDefaults)' : ''
  const excluded = ['source', ...CLAIM_FIELDS.filter((field) => field !== 'size')]
  const hasSize =
    volume['size'] !== undefined || defaults['size'] !== undefined || volume['source'] !== undefined
  return [
    ...presentOf(volume, excluded).map((field) =>
      finding([...base, field], `means nothing with medium: Memory${inherited}: remove one of the two`),
    ),
    ...(hasSize
      ? []
      : [finding([...base, 'size'], `is missing: medium: Memory${inherited} needs a limit, such as 64Mi`)]),
  ]
}

/** With one claim for all paths, what shapes a claim is said once. */
function checkLayout(volume: Fields, defaults: Fields, base: FieldPath): readonly Finding[] {
  const isOwn = volume['source'] !== undefined || (volume['medium'] ?? defaults['medium']) === 'Memory'
  if (defaults['layout'] !== 'OneClaim' || isOwn) return []
  return presentOf(volume, CLAIM_FIELDS).map((field) => {
    const place = field === 'dataSourceRef' ? 'use layout: ClaimPerPath' : `set it in volumeDefaults`
    return finding([...base, field], `can't differ by path with volumeDefaults.layout: OneClaim: ${place}`)
  })
}

function checkDefaults(defaults: Fields, base: FieldPath): readonly Finding[] {
  if (defaults['medium'] !== 'Memory') return []
  const excluded = ['storageClassName', 'accessModes', 'retain', 'layout']
  return [
    ...presentOf(defaults, excluded).map((field) =>
      finding([...base, field], 'means nothing with medium: Memory: remove one of the two'),
    ),
    ...(defaults['size'] === undefined
      ? [finding([...base, 'size'], 'is missing: medium: Memory needs a limit, such as 64Mi')]
      : []),
  ]
}

/** Two containers that write one volume made for one writer destroy data, so this is refused before anything runs. */
function checkWriters(
  spec: Fields,
  volumes: readonly Fields[],
  defaults: Fields,
  base: FieldPath,
): readonly Finding[] {
  const replicas = spec['replicas']
  if (typeof replicas !== 'number' || replicas <= 1) return []
  const index = volumes.findIndex((volume) => isSingleWriter(volume, defaults))
  if (index < 0) return []
  const volume = formatPath([...base, 'volumes', index])
  const way = `give it accessModes: [${MANY_WRITERS}] (and a storage class that has it)`
  return [
    finding(
      [...base, 'replicas'],
      `found ${replicas}; must be at most 1, because ${volume} is for one writer: ${way}`,
    ),
  ]
}

function isSingleWriter(volume: Fields, defaults: Fields): boolean {
  if (volume['source'] !== undefined || (volume['medium'] ?? defaults['medium']) === 'Memory') return false
  const modes = itemsOf(volume['accessModes'] ?? defaults['accessModes'])
  const readsOnly = volume['readOnly'] === true && modes.includes('ReadOnlyMany')
  return !modes.includes(MANY_WRITERS) && !readsOnly
}

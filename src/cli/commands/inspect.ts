/** `fairlead inspect`: what an image asks for, as its config says. */
import { printable } from '../../errors.ts'
import { formatPlatform } from '../../image/platform.ts'
import type { ResolvedImage } from '../../image/types.ts'
import { declaredVolumes } from '../../image/volumes.ts'
import { sizeOf } from '../ages.ts'
import type { RunCommand } from '../command-spec.ts'
import { fieldLines } from '../fields.ts'
import { referenceOf, withImage } from '../image-source.ts'
import { lineWidth, outputFormat, writeAnswer, writeSentences } from '../output.ts'
import { inspectReferrers, inspectTags } from '../inspect-repository.ts'
import { issueLine } from '../print-error.ts'
import { withTagHint } from '../repository-questions.ts'
import { renderTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'

export const inspect: RunCommand = async (context, call) => {
  const format = outputFormat(call)
  const reference = referenceOf(call.args[0])
  const [tags, referrers] = [call.options.flag('tags'), call.options.flag('referrers')]
  if (tags && referrers) throw new UsageError('choose one of --tags and --referrers', '--tags')
  if (call.options.text('artifactType') !== undefined && !referrers)
    throw new UsageError('needs --referrers', '--artifact-type')
  if (tags) return inspectTags(context, call, reference)
  await withTagHint(context, reference, () =>
    withImage(context, call, reference, async ({ image }) => {
      if (referrers) return inspectReferrers(context, call, reference, image)
      writeSentences(context, declaredVolumes(image.config).warnings.map(issueLine))
      const answer = inspected(image)
      return writeAnswer(context, format, answer, () => inspectedLines(answer, lineWidth(context)))
    }),
  )
}

type Inspected = ReturnType<typeof inspected>

function inspected(image: ResolvedImage) {
  const { config, manifest } = image
  return {
    digest: image.digest,
    manifestDigest: image.manifestDigest,
    platform: formatPlatform(config.platform),
    user: config.user,
    entrypoint: config.entrypoint,
    cmd: config.cmd,
    env: config.env,
    workingDir: config.workingDir,
    volumes: declaredVolumes(config).volumes,
    ports: config.exposedPorts,
    stopSignal: config.stopSignal ?? null,
    labels: config.labels,
    layers: manifest.layers.map(({ digest, size, mediaType }, index) => ({
      digest,
      diffId: config.diffIds[index] ?? null,
      size,
      mediaType,
    })),
  }
}

function inspectedLines(image: Inspected, width: number): string {
  const fields = {
    Digest: image.digest,
    Manifest: image.manifestDigest === image.digest ? '' : image.manifestDigest,
    Platform: printable(image.platform),
    User: image.user === '' ? 'root' : printable(image.user),
    Program: words([...image.entrypoint, ...image.cmd]),
    Folder: printable(image.workingDir, 500),
    Volumes: words(image.volumes),
    Ports: words(image.ports),
    Stop: image.stopSignal === null ? '' : printable(image.stopSignal),
    Env: words(image.env),
    Labels: words(Object.entries(image.labels).map(([name, value]) => `${name}=${value}`)),
  }
  const rows = image.layers.map(({ digest, size, mediaType }) => [digest, sizeOf(size), printable(mediaType)])
  const columns = [
    { title: 'LAYER' },
    { title: 'SIZE', align: 'right' as const },
    { title: 'TYPE', cut: 'middle' as const },
  ]
  const shown = rows.map(([digest = '', ...rest]) => [`${digest.slice(0, 'sha256:'.length + 12)}…`, ...rest])
  return `${fieldLines(fields, width)}\n${renderTable(columns, shown, width)}`
}

/** Words with spaces or other oddities are shown as JSON, so that one can see where they end. */
function words(values: readonly string[]): string {
  return values
    .map((value) => (/^[\w./:=@%+,-]+$/.test(value) ? value : JSON.stringify(printable(value, 500))))
    .join(' ')
}

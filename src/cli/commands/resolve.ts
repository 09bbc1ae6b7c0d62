/** `fairlead resolve`: which digest a reference names now. */
import { printable } from '../../errors.ts'
import type { ImageOrigin, ResolvedImage } from '../../image/types.ts'
import type { RunCommand } from '../command-spec.ts'
import { fieldLines } from '../fields.ts'
import { platformRows, referenceOf, withImage, type OpenImage } from '../image-source.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { withTagHint } from '../repository-questions.ts'

export const resolveReference: RunCommand = async (context, call) => {
  const format = outputFormat(call)
  const reference = referenceOf(call.args[0])
  const show = ({ image }: OpenImage) => {
    const answer = {
      reference: reference.original,
      canonical: image.canonical,
      digest: image.digest,
      mediaType: image.mediaType,
      platforms: platformRows(image),
      source: image.source,
    }
    return writeAnswer(context, format, answer, () =>
      resolvedLines(reference.original, image, lineWidth(context)),
    )
  }
  await withTagHint(context, reference, () => withImage(context, call, reference, show))
}

function resolvedLines(reference: string, image: ResolvedImage, width: number): string {
  const fields = {
    Image: printable(reference, 500),
    Name: printable(image.canonical, 500),
    Digest: image.digest,
    Type: image.mediaType,
    Source: sourceWords(image.source),
  }
  const platforms = platformRows(image).map(
    ({ platform, digest }) => `  ${printable(platform)}\n    ${digest}\n`,
  )
  return `${fieldLines(fields, width)}\nPlatforms\n${platforms.join('')}`
}

export function sourceWords(source: ImageOrigin): string {
  if (source.kind === 'registry') return `${source.mirror ? 'mirror' : 'registry'} ${printable(source.host)}`
  return `${source.kind === 'oci' ? 'layout' : 'archive'} ${printable(source.realPath, 500)}`
}

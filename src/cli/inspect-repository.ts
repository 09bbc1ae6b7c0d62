/** `inspect --tags` and `inspect --referrers`: what a registry lists beside an image. */
import { printable } from '../errors.ts'
import type { Digest, Reference, ResolvedImage } from '../image/types.ts'
import { sizeOf } from './ages.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { lineWidth, outputFormat, writeAnswer } from './output.ts'
import { referrersOf, requireRegistry, tagsOf } from './repository-questions.ts'
import { renderTable } from './table.ts'
import { usage } from './usage-error.ts'

/** Versions as people count: 1.9 before 1.10. */
const BY_NUMBER = new Intl.Collator('en', { numeric: true })

export async function inspectTags(
  context: CliContext,
  call: CommandCall,
  reference: Reference,
): Promise<void> {
  const asked = usage(() => requireRegistry(reference), 'reference')
  const { tags, ...rest } = await tagsOf(context, asked)
  const answer = {
    repository: `${asked.registry}/${asked.repository}`,
    tags: tags.toSorted((a, b) => BY_NUMBER.compare(a, b)),
    ...rest,
  }
  if (rest.truncated) context.stderr.write('Warning: the registry has more tags than are listed\n')
  await writeAnswer(context, outputFormat(call), answer, () => answer.tags.map((tag) => `${tag}\n`).join(''))
}

interface ReferrerRow {
  readonly subject: Digest
  readonly digest: Digest
  readonly artifactType: string | null
  readonly mediaType: string
  readonly size: number
  readonly annotations: Readonly<Record<string, string>>
}

/** Of the index and of this platform's manifest: signatures are found at either. */
export async function inspectReferrers(
  context: CliContext,
  call: CommandCall,
  reference: Reference,
  image: ResolvedImage,
): Promise<void> {
  const asked = usage(() => requireRegistry(reference), 'reference')
  const rows: ReferrerRow[] = []
  const wanted = call.options.text('artifactType')
  let truncated = false
  for (const subject of new Set([image.digest, image.manifestDigest])) {
    const list = await referrersOf(context, asked, subject, wanted)
    truncated ||= list.truncated
    rows.push(
      ...list.referrers.map(({ digest, artifactType, mediaType, size, annotations = {} }) => ({
        subject,
        digest,
        artifactType: artifactType ?? null,
        mediaType,
        size,
        annotations,
      })),
    )
  }
  if (truncated) context.stderr.write('Warning: the registry has more referrers than are listed\n')
  const { digest, manifestDigest } = image
  const answer = { digest, manifestDigest, referrers: rows, truncated }
  await writeAnswer(context, outputFormat(call), answer, () =>
    rows.length === 0 ? noReferrers(wanted) : referrerTable(rows, lineWidth(context)),
  )
}

/** There may be documents of other types: nobody should take it for none at all. */
function noReferrers(wanted: string | undefined): string {
  const what = wanted === undefined ? 'nothing' : `nothing of type ${printable(wanted)}`
  return `${what} refers to this image\n`
}

function referrerTable(rows: readonly ReferrerRow[], width: number): string {
  const columns = [
    { title: 'DIGEST', cut: 'never' as const },
    { title: 'SIZE', align: 'right' as const },
    { title: 'TYPE', cut: 'middle' as const },
  ]
  const cells = rows.map(({ digest, size, artifactType, mediaType }) => [
    digest,
    sizeOf(size),
    printable(artifactType ?? mediaType),
  ])
  return renderTable(columns, cells, width)
}

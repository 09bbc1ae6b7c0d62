/** `fairlead explain`: how an image is found, step by step: hosts, credentials by name, what each was told. No secrets. */
import { appKeychain, operatorKeychain } from '../../engine/local/keychain.ts'
import { readConfig } from '../../engine/local/config.ts'
import { parsePlatform } from '../../image/platform.ts'
import { parseReference } from '../../image/reference.ts'
import type { Platform, Reference } from '../../image/types.ts'
import { appId } from '../../reconcile/names.ts'
import type { CommandCall, RunCommand } from '../command-spec.ts'
import type { CliContext } from '../context.ts'
import { explainImage, type ExplainedImage, type ImageQuestion } from '../explain-image.ts'
import { explainImagePage } from '../explain-image-page.ts'
import { platformOf, referenceOf } from '../image-source.ts'
import { requireInput } from '../input-documents.ts'
import { InputSources } from '../input-sources.ts'
import { lineWidth, outputFormat, writeAnswer } from '../output.ts'
import { EXIT_FAILED } from '../print-error.ts'
import { readableState } from '../readable-state.ts'
import { painter } from '../styles.ts'
import { sourceDocuments } from '../submission.ts'
import { UsageError } from '../usage-error.ts'

/** What is to be explained: a reference and the credentials that it may use. */
interface Question {
  readonly app?: string
  readonly reference: Reference
  readonly baseDir: string
  readonly platform: Platform
  readonly keychain: ImageQuestion['keychain']
}

export const explain: RunCommand = async (context, call) => {
  const format = outputFormat(call)
  const images: ExplainedImage[] = []
  for (const question of await questionsOf(context, call))
    images.push(await explainImage(context, { ...question, config: readConfig() }))
  await writeAnswer(context, format, { images }, () =>
    explainImagePage(images, lineWidth(context), painter(context, context.stdout)),
  )
  return images.every(({ result }) => 'digest' in result) ? 0 : EXIT_FAILED
}

async function questionsOf(context: CliContext, call: CommandCall): Promise<readonly Question[]> {
  const [text] = call.args
  const hasFiles = call.options.list('file').length > 0
  if ((text === undefined) === !hasFiles)
    throw new UsageError('name either an image or files with -f', 'reference')
  if (hasFiles) return questionsOfFiles(context, call)
  const reference = referenceOf(text)
  return [{ reference, baseDir: context.cwd, platform: platformOf(call), keychain: operatorKeychain }]
}

/** Each app with its own pull secrets: the same image may be found for one and not for another. */
async function questionsOfFiles(context: CliContext, call: CommandCall): Promise<readonly Question[]> {
  const documents = await requireInput(context, call)
  const sources = new InputSources(await readableState(context, call), sourceDocuments(documents))
  return documents.apps.map(({ app, baseDir }) => {
    const { image, imagePolicy } = app.spec
    const platform = imagePolicy?.platform
    return {
      app: appId(app.metadata),
      reference: parseReference(image),
      baseDir,
      platform: platform === undefined ? platformOf(call) : parsePlatform(platform),
      keychain: (onRefused) => appKeychain(app, sources, onRefused),
    }
  })
}

/** The documents behind `-f`: every problem of every file at once, and nothing is used when there is one. */
import { parseSources, requireDocuments, type AppDocument, type Documents } from '../crd/documents.ts'
import type { Issue } from '../errors.ts'
import { namespaceOf } from './app-name.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { readInputFiles } from './input-files.ts'
import { LOCAL_INSTANCE_KIND } from './local-instance.ts'
import { throwIfInvalid, UsageError } from './usage-error.ts'

export interface InputDocuments extends Documents {
  readonly apps: readonly InputApp[]
}

/** An app of a file, with the folder that its relative paths start from. */
export interface InputApp extends AppDocument {
  readonly baseDir: string
}

export interface InspectedInput {
  readonly documents: InputDocuments
  readonly issues: readonly Issue[]
}

/** Reads everything; for `check`, which goes on with what is right. */
export async function inspectInput(context: CliContext, call: CommandCall): Promise<InspectedInput> {
  const names = call.options.list('file')
  const input = await readInputFiles(context, names)
  const parsed = parseSources(input.files, namespaceOf(call), {
    derivedKinds: [LOCAL_INSTANCE_KIND],
    onDerived: ({ kind, name, location }) =>
      context.stderr.write(`${location}: ${kind} ${name} is derived from its app; left out\n`),
  })
  const baseDirs = new Map(input.files.map(({ name, baseDir }) => [name, baseDir]))
  const apps = parsed.documents.apps.map((document) => ({
    ...document,
    baseDir: baseDirs.get(document.source) ?? context.cwd,
  }))
  return { documents: { ...parsed.documents, apps }, issues: [...input.issues, ...parsed.issues] }
}

/** The documents; InvalidInputError with everything that is wrong, UsageError when there is nothing in them. */
export async function requireInput(context: CliContext, call: CommandCall): Promise<InputDocuments> {
  const { documents, issues } = await inspectInput(context, call)
  throwIfInvalid(issues)
  requireDocuments({ documents, issues })
  if (documents.apps.length + documents.secrets.length + documents.configMaps.length === 0) {
    throw new UsageError('the files hold no document', call.options.list('file').join(' '))
  }
  return documents
}

/** The documents behind `-f`: every problem of every file at once, and nothing is used when there is one. */
import { parseSources, requireDocuments, type AppDocument, type Documents } from '../crd/documents.ts'
import { ExpectedError, printable, type Issue } from '../errors.ts'
import { parseReference } from '../image/reference.ts'
import { namespaceOf } from './app-name.ts'
import type { CommandCall } from './command-spec.ts'
import type { CliContext } from './context.ts'
import { readInputFiles } from './input-files.ts'
import { LOCAL_INSTANCE_KIND } from './local-instance.ts'
import { throwIfInvalid } from './usage-error.ts'

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

/** Reads everything; for `check`, which goes on with what is right. `namespace` is that of what names none. */
export async function inspectInput(
  context: CliContext,
  call: CommandCall,
  namespace: string = namespaceOf(call),
): Promise<InspectedInput> {
  const names = call.options.list('file')
  const input = await readInputFiles(context, names)
  const parsed = parseSources(input.files, namespace, {
    derivedKinds: [LOCAL_INSTANCE_KIND],
    onDerived: ({ kind, name, location }) =>
      context.stderr.write(`${location}: ${kind} ${name} is derived from its app; left out\n`),
  })
  const baseDirs = new Map(input.files.map(({ name, baseDir }) => [name, baseDir]))
  const apps = parsed.documents.apps.map((document) => ({
    ...document,
    baseDir: baseDirs.get(document.source) ?? context.cwd,
  }))
  const judged = apps.map((document) => ({ document, issues: referenceIssues(document) }))
  const documents = {
    ...parsed.documents,
    apps: judged.filter((one) => one.issues.length === 0).map(({ document }) => document),
  }
  const issues = [...input.issues, ...parsed.issues, ...judged.flatMap((one) => one.issues)]
  const isEmpty = apps.length + documents.secrets.length + documents.configMaps.length === 0
  return { documents, issues: isEmpty && issues.length === 0 ? [nothingIn(names)] : issues }
}

/** The documents; InvalidInputError with everything that is wrong. */
export async function requireInput(
  context: CliContext,
  call: CommandCall,
  namespace?: string,
): Promise<InputDocuments> {
  const { documents, issues } = await inspectInput(context, call, namespace)
  throwIfInvalid(issues)
  requireDocuments({ documents, issues })
  return documents
}

function nothingIn(names: readonly string[]): Issue {
  return {
    severity: 'error',
    reason: 'InvalidSpec',
    path: printable(names.join(' ')),
    message: 'the files hold no document',
  }
}

/** A reference that nobody could resolve is a slip of the file, as a misspelled field is: it need not be stored first. */
function referenceIssues({ app, source }: InputApp): readonly Issue[] {
  try {
    parseReference(app.spec.image)
    return []
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error
    const { reason, message } = error
    return [{ severity: 'error', reason, path: 'spec.image', message, location: printable(source) }]
  }
}

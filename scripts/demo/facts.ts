/** What both halves of the demo find out, so that they can be laid side by side. */
export interface Facts {
  /** The plugin that the image ships is there and answers. */
  readonly shippedPlugin: boolean
  /** The app's own user may write into its folders. */
  readonly writable: boolean
  /** A plugin installed at run time starts. */
  readonly uploadedPlugin: boolean
  /** A post is still there after a restart. */
  readonly dataKept: boolean
}

/** Reads `mattermost check` and `GET /plugins`: what a plugin said, or why it did not start. */
export function pluginAnswers(output: string, name: string): boolean {
  const line = output.split('\n').find((candidate) => candidate.startsWith(`plugin ${name}: `))
  return line?.startsWith(`plugin ${name}: ${name}: `) === true && !line.endsWith('(failed)')
}

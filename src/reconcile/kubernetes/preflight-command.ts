/**
 * How the containers of a preflight pod are started. The image's entrypoint of Fairlead's own image is Fairlead; in a
 * container of the app's image nothing is started but the holder.
 */

/** `args` of a container of Fairlead's own image that prepares volumes. */
export const PREFLIGHT_ARGS: readonly string[] = ['preflight', 'run']

const HOLDER = 'holder'

/** `args` of an init container of Fairlead's own image that writes the holder into `dir`, an absolute path. */
export function writeHolderArgs(dir: string): readonly string[] {
  return ['preflight', 'write-holder', dir]
}

/** `command` of a container of the app's image that does nothing but be there, with the holder that lies in `dir`. */
export function holderCommand(dir: string): readonly string[] {
  return [holderFile(dir)]
}

export function holderFile(dir: string): string {
  return `${dir}/${HOLDER}`
}

/**
 * How the preflight program is started. `DIR` is the mount point of an emptyDir that both containers see: the first
 * one, of Fairlead's own image, copies the runtime into it; the second one, of the app's image, has nothing else that
 * it could lean on: no shell, no libc (rule V11).
 */

/** `args` of a container of Fairlead's own image that prepares volumes itself; the image's entrypoint is Fairlead. */
export const PREFLIGHT_ARGS: readonly string[] = ['preflight', 'run']

/** `args` of an init container of Fairlead's own image that copies what `preflightCommand(dir)` starts into `dir`. */
export function copyRuntimeArgs(dir: string): readonly string[] {
  return ['preflight', 'copy-runtime', dir]
}

/**
 * `command` of a container of any image, with the runtime that was copied into `dir` (absolute, without a final
 * slash). The loader is named because the image may have none, or another one, where the program would look for it.
 */
export function preflightCommand(dir: string): readonly string[] {
  const { loader, libraries, node, main } = runtimePaths(dir)
  return [loader, '--inhibit-cache', '--library-path', libraries, node, main]
}

/**
 * Environment of a container of the app's image that runs `preflightCommand`: an image's own environment must neither
 * break our loader and Node nor have them run something of the image with the preflight's rights.
 */
export const PREFLIGHT_ENV: Readonly<Record<string, string>> = {
  LD_AUDIT: '',
  LD_LIBRARY_PATH: '',
  LD_PRELOAD: '',
  GLIBC_TUNABLES: '',
  NODE_EXTRA_CA_CERTS: '',
  NODE_OPTIONS: '',
  NODE_V8_COVERAGE: '',
  OPENSSL_CONF: '',
}

/** Where things are in the copied runtime. */
export function runtimePaths(dir: string) {
  return {
    loader: `${dir}/lib/ld.so`,
    libraries: `${dir}/lib`,
    programs: `${dir}/bin`,
    node: `${dir}/bin/node`,
    app: `${dir}/app`,
    main: `${dir}/app/main.mjs`,
  } as const
}

/** Whether entrypoint and hooks will start, judged by what the container itself will see (rule H1). Pure. */
import { checkExecutable } from '../bundle/executable.ts'
import { checkHooks, type HooksCheck } from '../bundle/hooks.ts'
import { DEFAULT_PATH, envValue, processArgs, processEnv, workingDir } from '../bundle/process.ts'
import type { ContainerView } from '../bundle/view.ts'
import type { Issue } from '../errors.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { Desired } from './types.ts'

/** What is known of hooks that run outside of the container. */
export type OuterHooks = Pick<HooksCheck, 'allowedHostHooks' | 'hostHookProblem' | 'existsOnHost'>

/** Issues of the entrypoint. Throws ExpectedError where process or working directory make no sense at all. */
export function entrypointIssues(
  desired: Desired,
  view: ContainerView,
  cwd: string = workingDirIn(desired, view),
): readonly Issue[] {
  const { config } = desired.image
  const env = processEnv(config, desired.process, desired.identity, desired.key.name)
  const libraryPath = envValue(env, 'LD_LIBRARY_PATH')
  return checkExecutable({
    ...commonOf(desired, view, cwd),
    path: processArgs(config, desired.process)[0] ?? '',
    what: 'entrypoint',
    field: desired.process.command === undefined ? 'image entrypoint' : 'spec.command[0]',
    searchPath: envValue(env, 'PATH') ?? DEFAULT_PATH,
    ...(libraryPath === undefined ? {} : { libraryPath }),
  })
}

/** Issues of all hooks. Throws as `entrypointIssues`. */
export function hookIssues(
  desired: Desired,
  view: ContainerView,
  outer: OuterHooks,
  cwd: string = workingDirIn(desired, view),
): readonly Issue[] {
  return checkHooks({ ...commonOf(desired, view, cwd), hooks: desired.hooks, ...outer })
}

export function workingDirIn({ image, process }: Desired, tree: FileTree): string {
  return workingDir(image.config, process, tree)
}

function commonOf({ image, identity }: Desired, view: ContainerView, cwd: string) {
  return { view, identity, platform: image.config.platform, cwd }
}

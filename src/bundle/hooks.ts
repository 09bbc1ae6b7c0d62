/**
 * The user's hooks: checked before anything starts (rules H1, H3), and as the runtime gets them.
 */
import { printable } from '../errors.ts'
import type { Issue } from '../errors.ts'
import type { Platform } from '../image/types.ts'
import { checkExecutable } from './executable.ts'
import { hookEnv, runnerHook } from './hook-runner.ts'
import { envValue } from './process.ts'
import type { HookStage, HookWish, Identity, RuntimeHook } from './types.ts'
import type { ContainerView } from './view.ts'

export interface HooksCheck {
  readonly hooks: readonly HookWish[]
  readonly view: ContainerView
  readonly identity: Identity
  readonly platform: Platform
  /** Host paths that hooks of the other stages may name, exactly as here. */
  readonly allowedHostHooks: readonly string[]
  /** Why an allowed host path must not run (writable by others, not root's); undefined when it is fine. */
  readonly hostHookProblem?: (path: string) => string | undefined
  /** Whether a path exists on the host: the usual mistake is to name such a one. */
  readonly existsOnHost?: (path: string) => boolean
  /** Working directory of the process, which startContainer hooks share. */
  readonly cwd?: string
}

/** All problems of all hooks. */
export function checkHooks(check: HooksCheck): Issue[] {
  return check.hooks.flatMap((hook) => [
    ...valueIssues(hook),
    ...(hook.stage === 'startContainer' ? containerHookIssues(check, hook) : hostHookIssues(check, hook)),
  ])
}

/**
 * Hooks by stage as runtime-spec values: one runner for all of startContainer, and for the other stages each hook.
 * All have `args[0]`, a non-empty environment and a time limit (rule H2).
 */
export function runtimeHooks(hooks: readonly HookWish[]): Partial<Record<HookStage, readonly RuntimeHook[]>> {
  const byStage: Partial<Record<HookStage, RuntimeHook[]>> = {}
  for (const hook of hooks) {
    if (hook.stage === 'startContainer') byStage.startContainer ??= [runnerHook()]
    else (byStage[hook.stage] ??= []).push(hostHook(hook))
  }
  return byStage
}

function hostHook(hook: HookWish): RuntimeHook {
  return {
    path: hook.path,
    args: [hook.path, ...hook.args],
    env: hookEnv(hook),
    timeout: hook.timeoutSeconds,
  }
}

function containerHookIssues(check: HooksCheck, hook: HookWish): readonly Issue[] {
  const env = hookEnv(hook)
  const libraryPath = envValue(env, 'LD_LIBRARY_PATH')
  const issues = checkExecutable({
    view: check.view,
    path: hook.path,
    identity: check.identity,
    platform: check.platform,
    field: `${hook.field}.path`,
    what: 'hook',
    searchPath: envValue(env, 'PATH') ?? '',
    cwd: check.cwd ?? '/',
    ...(libraryPath === undefined ? {} : { libraryPath }),
  })
  const missing = issues.some((issue) => issue.reason === 'ExecNotFound')
  return missing && check.existsOnHost?.(hook.path) === true ? [hostOnly(hook)] : issues
}

function hostOnly(hook: HookWish): Issue {
  const message = `the hook "${printable(hook.path)}" exists on the host but not in the container, where startContainer hooks are looked up and run; put it into the image or mount it from a volume`
  return { severity: 'error', reason: 'HookOnHostOnly', path: `${hook.field}.path`, message }
}

/** Host hooks run as root on the host, so the operator decides which there are; an image or a user never does. */
function hostHookIssues(check: HooksCheck, hook: HookWish): readonly Issue[] {
  if (!hook.path.startsWith('/')) {
    const message = `the hook "${printable(hook.path)}" is not an absolute path; ${hook.stage} hooks are found on the host, by their full path`
    return [{ severity: 'error', reason: 'ExecNotAbsolute', path: `${hook.field}.path`, message }]
  }
  if (!check.allowedHostHooks.includes(hook.path)) {
    const allowed =
      check.allowedHostHooks.length === 0
        ? 'none is allowed here'
        : `allowed: ${check.allowedHostHooks.join(', ')}`
    return [
      notAllowed(
        hook,
        `runs on the host at ${hook.stage}, for which the operator must allow it by name (${printable(allowed)})`,
      ),
    ]
  }
  const problem = check.hostHookProblem?.(hook.path)
  return problem === undefined ? [] : [notAllowed(hook, printable(problem))]
}

function notAllowed(hook: HookWish, why: string): Issue {
  return {
    severity: 'error',
    reason: 'HookNotAllowed',
    path: `${hook.field}.path`,
    message: `the hook "${printable(hook.path)}" ${why}`,
  }
}

/** What neither a program nor a runtime could be given. */
function valueIssues(hook: HookWish): readonly Issue[] {
  const issues: Issue[] = []
  const report = (field: string, message: string): void => {
    issues.push({ severity: 'error', reason: 'InvalidSpec', path: `${hook.field}.${field}`, message })
  }
  if (!Number.isInteger(hook.timeoutSeconds) || hook.timeoutSeconds < 1) {
    report(
      'timeoutSeconds',
      `a hook's time limit is a whole number of seconds, at least 1, not ${hook.timeoutSeconds}`,
    )
  }
  if (hook.path.includes('\0')) report('path', 'a path can hold no NUL character')
  hook.args.forEach((arg, index) => {
    if (arg.includes('\0')) report(`args[${index}]`, 'an argument can hold no NUL character')
  })
  hook.env.forEach(({ name, value }, index) => {
    if (name === '' || /[=\0]/.test(name))
      report(`env[${index}].name`, 'a variable needs a name without "=" and NUL')
    if (value.includes('\0')) report(`env[${index}].value`, 'a variable can hold no NUL character')
  })
  return issues
}

/** `fairlead completion`: scripts for shells, made from the command tree. */
import { nearest } from '../../crd/suggest.ts'
import { printable } from '../../errors.ts'
import type { RunCommand } from '../command-spec.ts'
import { bashCompletion } from '../completion/bash.ts'
import { fishCompletion } from '../completion/fish.ts'
import { zshCompletion } from '../completion/zsh.ts'
import { UsageError } from '../usage-error.ts'

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

export const completion: RunCommand = async (context, call) => {
  const shell = call.args[0] ?? ''
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined
  if (script === undefined) {
    const known = Object.keys(SCRIPTS)
    const meant = nearest(shell, known)
    throw new UsageError(
      `found ${JSON.stringify(printable(shell))}; must be ${known.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      'shell',
    )
  }
  context.stdout.write(script())
}

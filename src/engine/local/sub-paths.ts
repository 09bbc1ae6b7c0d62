/**
 * `subPath` of a folder that containers may write to. A container can replace any name in its volume by a symlink at
 * any time, also between the moment we look and the moment a runtime mounts, and between two runs (the class of
 * CVE-2017-1002101 and CVE-2021-25741). So the supervisor binds the place anew before each run, by a handle that no
 * rename changes, and the runtime is given that bind.
 */
import { shellQuote } from '../../bundle/shell-quote.ts'
import { printable } from '../../errors.ts'

export interface SubPathMount {
  /** Host folder that the sub path is in. */
  readonly base: string
  /** The sub path's names, without symlinks and `..`; at least one. */
  readonly names: readonly string[]
  /** Where the supervisor binds it, in its own mount namespace. */
  readonly target: string
}

/**
 * `pin_sub_path BASE PARENT NAME TARGET`; PARENT is empty or begins with a slash. The shell's working directory is the
 * handle: the kernel says where it really is, and `/proc/self/cwd` is mounted without being looked up by name again.
 * A file has no such handle: it is bound first, and then must be the very file that the name stands for.
 */
const PIN_FUNCTION = [
  "newline=$(printf '\\n.') && newline=${newline%.}",
  // Ends in a dot, because the shell would take newlines off the end of a name.
  'here() { readlink /proc/self/cwd && echo .; }',
  'pin_sub_path() {',
  '  cd -P -- "$1" && root=$(here) && cd -P -- ".$2" || return 1',
  '  root=${root%??}',
  '  [ "$(here)" = "$root$2$newline." ] || return 1',
  '  if [ -d "./$3" ] && [ ! -L "./$3" ]; then',
  '    cd -P -- "./$3" && [ "$(here)" = "$root$2/$3$newline." ] || return 1',
  '    mkdir -p -- "$4" && mount --no-canonicalize --rbind /proc/self/cwd "$4"',
  '  else',
  '    mkdir -p -- "${4%/*}" && { : >>"$4"; } 2>/dev/null && mount --no-canonicalize --bind "/proc/self/cwd/$3" "$4" || return 1',
  '    [ "$(stat -c %d:%i -- "./$3")" = "$(stat -c %d:%i -- "$4")" ]',
  '  fi',
  '}',
]

/** Lines of the supervisor's script, which must have `fail`; none when there is nothing to bind. */
export function subPathLines(mounts: readonly SubPathMount[]): readonly string[] {
  return mounts.length === 0 ? [] : [...PIN_FUNCTION, ...mounts.map(pinLine)]
}

function pinLine({ base, names, target }: SubPathMount): string {
  const parent = names
    .slice(0, -1)
    .map((name) => `/${name}`)
    .join('')
  const words = [base, parent, names.at(-1) ?? '', target].map(shellQuote).join(' ')
  const problem = `subPath ${printable(names.join('/'))} is gone, or was replaced by a link since the app was prepared`
  // In a shell of its own: the working directory of the script stays.
  return `(pin_sub_path ${words}) || fail ${shellQuote(problem)}`
}

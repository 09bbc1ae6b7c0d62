/**
 * Whether every shared library of a program is there: the closure of DT_NEEDED, searched as the dynamic loader does
 * (ld.so(8); musl where the program's loader is musl's).
 */
import type { ByteString } from '../image/bytes.ts'
import type { Identity } from './types.ts'
import { mayRead, unsearchable } from './access.ts'
import type { ElfFile } from './elf.ts'
import { parseElf } from './elf.ts'
import { cachedPaths, isMusl, libTokens, systemLibraryDirs } from './library-paths.ts'
import { locate, pathText } from './locate.ts'
import type { ContainerView } from './view.ts'

/** Far above any real program (a browser needs about 150). */
const MAX_LIBRARIES = 2000
/** Of one program: places looked at, and symlinks followed on the way. A browser takes some thousand and some hundred. */
const MAX_PLACES = 50_000
const MAX_LINKS_FOLLOWED = 10_000

/** What an image can make the search cost: thousands of libraries, times thousands of folders, each behind links. */
class Effort {
  #places = 0
  #links = 0

  /** One more place was looked at. */
  spend(links: number): void {
    this.#places += 1
    this.#links += links
  }

  /** Nothing more is looked at, and nothing more is called missing: the loader has the last word. */
  get isOver(): boolean {
    return this.#places > MAX_PLACES || this.#links > MAX_LINKS_FOLLOWED
  }
}

export interface LibrarySearch {
  readonly view: ContainerView
  readonly identity: Identity
  /** Path of the program's dynamic loader. */
  readonly interpreter: ByteString
  /** Value of LD_LIBRARY_PATH in the process's environment. */
  readonly libraryPath: ByteString
  readonly cwd: ByteString
}

export interface MissingLibrary {
  readonly name: ByteString
  /** The file that needs it. */
  readonly neededBy: string
  /** A file of that name that the loader can't use, and why. */
  readonly unusable: string | undefined
}

/** A loaded object; `loader` is the object that asked for it first, whose RPATH counts too. */
interface LoadedObject {
  readonly names: readonly ByteString[]
  readonly elf: ElfFile
  readonly loader: LoadedObject | undefined
}

/**
 * The libraries that the program at `names` lacks, its libraries' own needs included, in the order of the search. What
 * takes more than 50,000 places or 10,000 symlinks to find is not looked for to the end.
 */
export function missingLibraries(
  search: LibrarySearch,
  names: readonly ByteString[],
  elf: ElfFile,
): readonly MissingLibrary[] {
  const systemDirs = systemLibraryDirs(search.view, search.interpreter, elf)
  const known = new Set<ByteString>([search.interpreter.slice(search.interpreter.lastIndexOf('/') + 1)])
  const missing: MissingLibrary[] = []
  const effort = new Effort()
  const todo: LoadedObject[] = [{ names, elf, loader: undefined }]
  for (let object = todo.shift(); object !== undefined; object = todo.shift()) {
    for (const name of object.elf.needed) {
      if (known.has(name) || known.size > MAX_LIBRARIES || isInsideMusl(search, name)) continue
      known.add(name)
      const found = findLibrary(search, object, name, systemDirs, effort)
      if (effort.isOver) return missing
      if ('elf' in found) {
        if (found.elf.soname !== undefined) known.add(found.elf.soname)
        todo.push(found)
      } else {
        missing.push({ name, neededBy: pathText(object.names), unusable: found.unusable })
      }
    }
  }
  return missing
}

function findLibrary(
  search: LibrarySearch,
  object: LoadedObject,
  name: ByteString,
  systemDirs: readonly ByteString[],
  effort: Effort,
): LoadedObject | { readonly unusable: string | undefined } {
  let unusable: string | undefined
  for (const path of candidates(search, object, name, systemDirs)) {
    if (effort.isOver) break
    const loaded = tryLibrary(search, object, path, effort)
    if (loaded === undefined) continue
    if ('elf' in loaded) return loaded
    unusable ??= loaded.unusable
  }
  return { unusable }
}

/** Every place for one library, in the loader's order. A name with a slash is a path and is not searched for. */
function* candidates(
  search: LibrarySearch,
  object: LoadedObject,
  name: ByteString,
  systemDirs: readonly ByteString[],
): Generator<ByteString> {
  if (name.includes('/')) {
    yield name
    return
  }
  const ldLibraryPath = search.libraryPath === '' ? [] : search.libraryPath.split(/[:;]/)
  const dirs = [
    ...inheritedRpath(search, object),
    ...ldLibraryPath,
    ...expand(object, object.elf.runpath),
    ...systemDirs,
  ]
  for (const dir of dirs) yield `${dir === '' ? '.' : dir}/${name}`
  yield* cachedPaths(search.view, name)
}

/** RPATH of the object and of those that led to it; glibc ignores it all for an object with RUNPATH, musl never. */
function inheritedRpath(search: LibrarySearch, object: LoadedObject): readonly ByteString[] {
  const musl = isMusl(search.interpreter)
  if (!musl && object.elf.runpath.length > 0) return []
  const dirs: ByteString[] = []
  for (let each: LoadedObject | undefined = object; each !== undefined; each = each.loader) {
    dirs.push(...expand(each, musl ? [...each.elf.rpath, ...each.elf.runpath] : each.elf.rpath))
  }
  return dirs
}

/** `$ORIGIN`, `$LIB` and `$PLATFORM`, with or without braces. */
function expand(object: LoadedObject, paths: readonly ByteString[]): readonly ByteString[] {
  const origin = `/${object.names.slice(0, -1).join('/')}`
  return paths.flatMap((path) => {
    const withOrigin = path.replaceAll(/\$(?:ORIGIN\b|\{ORIGIN\})/g, () => origin)
    const libs = /\$(?:LIB\b|\{LIB\})/.test(withOrigin) ? libTokens(object.elf) : ['']
    return libs.map((lib) => withOrigin.replaceAll(/\$(?:LIB\b|\{LIB\})/g, lib))
  })
}

/** Undefined: nothing there, or a library for another architecture, which loaders pass over silently. */
function tryLibrary(
  search: LibrarySearch,
  object: LoadedObject,
  path: ByteString,
  effort: Effort,
): LoadedObject | { readonly unusable: string } | undefined {
  const found = locate(search.view, path, search.cwd)
  effort.spend(found.chain.length)
  if ('problem' in found || found.node.type !== 'file') return undefined
  const place = pathText(found.names)
  const closed = unsearchable(search.view, found.folders, search.identity)[0]
  if (closed !== undefined)
    return { unusable: `${place} is out of reach: no search permission on ${pathText(closed)}` }
  if (!mayRead(found.node, search.identity))
    return { unusable: `${place} is not readable for uid ${search.identity.uid}` }
  const result = parseElf(found.node)
  if ('problem' in result) return { unusable: `${place} is no usable library: ${result.why}` }
  if (result.elf.machine !== object.elf.machine || result.elf.bits !== object.elf.bits) return undefined
  const mount = search.view.mountAt(found.names)
  if (mount?.noexec === true) return { unusable: `${place} is on ${mount.label}, which is mounted noexec` }
  return { names: found.names, elf: result.elf, loader: object }
}

/** musl is one file: the loader is libc, libm, libpthread and so on by itself. */
function isInsideMusl(search: LibrarySearch, name: ByteString): boolean {
  return isMusl(search.interpreter) && /^lib(?:c|pthread|rt|m|dl|util|xnet)\./.test(name)
}

/**
 * Where a dynamic loader looks for libraries besides what the program itself says (ld.so(8); musl's ldso/dynlink.c).
 */
import type { ByteString } from '../image/bytes.ts'
import type { FileTree } from '../rootfs/types.ts'
import type { ElfFile } from './elf.ts'
import { machineName } from './machine.ts'
import { locate } from './locate.ts'

const MAX_CONFIG_BYTES = 1 << 20
const MAX_CACHE_BYTES = 16 << 20
const MAX_INCLUDES = 256

/** Debian's names of the library folders of one architecture (multiarch tuples). */
const MULTIARCH: Readonly<Record<string, string>> = {
  '386': 'i386-linux-gnu',
  amd64: 'x86_64-linux-gnu',
  arm: 'arm-linux-gnueabihf',
  arm64: 'aarch64-linux-gnu',
  loong64: 'loongarch64-linux-gnu',
  mips64le: 'mips64el-linux-gnuabi64',
  ppc64le: 'powerpc64le-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
  s390x: 's390x-linux-gnu',
}

export function isMusl(interpreter: ByteString): boolean {
  return basename(interpreter).startsWith('ld-musl-')
}

/** Folders that the loader `interpreter` searches for a program like `elf`, in order. */
export function systemLibraryDirs(
  tree: FileTree,
  interpreter: ByteString,
  elf: ElfFile,
): readonly ByteString[] {
  return isMusl(interpreter)
    ? muslDirs(tree, interpreter)
    : // glibc itself reads only the cache that ldconfig made; the configuration is taken too, since a hook may run ldconfig.
      [...new Set([...configuredDirs(tree), ...glibcDirs(elf)])]
}

/** Full paths of a library in ld.so.cache; its entries may lie in folders that no configuration names. */
export function cachedPaths(tree: FileTree, library: ByteString): readonly ByteString[] {
  const text = readText(tree, '/etc/ld.so.cache', MAX_CACHE_BYTES)
  const paths: ByteString[] = []
  const needle = `/${library}\0`
  for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + 1)) {
    const start = text.lastIndexOf('\0', at) + 1
    if (text[start] === '/') paths.push(text.slice(start, at + needle.length - 1))
  }
  return [...new Set(paths)]
}

/** `$LIB` of ld.so(8): the name of the library folder, which differs between distributions. */
export function libTokens(elf: ElfFile): readonly ByteString[] {
  const tuple = MULTIARCH[machineName(elf)]
  return [...(tuple === undefined ? [] : [`lib/${tuple}`]), elf.bits === 64 ? 'lib64' : 'lib32', 'lib']
}

function glibcDirs(elf: ElfFile): readonly ByteString[] {
  return libTokens(elf).flatMap((lib) => [`/${lib}`, `/usr/${lib}`])
}

/** musl has one file for all: folders separated by colons or lines; without it, three folders. */
function muslDirs(tree: FileTree, interpreter: ByteString): readonly ByteString[] {
  const arch = /^ld-musl-(.+?)\.so/.exec(basename(interpreter))?.[1] ?? ''
  const dirs = readText(tree, `/etc/ld-musl-${arch}.path`, MAX_CONFIG_BYTES)
    .split(/[:\n]/)
    .filter((dir) => dir !== '')
  return dirs.length > 0 ? dirs : ['/lib', '/usr/local/lib', '/usr/lib']
}

function configuredDirs(tree: FileTree): readonly ByteString[] {
  const dirs: ByteString[] = []
  const todo: ByteString[] = ['/etc/ld.so.conf']
  const seen = new Set<ByteString>()
  for (let file = todo.shift(); file !== undefined && seen.size < MAX_INCLUDES; file = todo.shift()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const raw of readText(tree, file, MAX_CONFIG_BYTES).split('\n')) {
      const line = raw.replace(/#.*/, '').trim()
      const include = /^include\s+(.*)$/.exec(line)
      const folder = file.slice(0, file.lastIndexOf('/'))
      if (include?.[1] !== undefined) {
        todo.push(...include[1].split(/\s+/).flatMap((glob) => expandGlob(tree, absolute(glob, folder))))
      } else if (!line.startsWith('hwcap')) {
        // Old files add a library type: `/usr/lib/libc5=libc5`.
        dirs.push(
          ...line
            .split(/[\s:,]+/)
            .map((dir) => dir.replace(/=.*/, ''))
            .filter((dir) => dir.startsWith('/')),
        )
      }
    }
  }
  return dirs
}

/** `*`, `?` and `[…]` in the last component, as in every ld.so.conf there is; a tree that can't list gives nothing. */
function expandGlob(tree: FileTree, glob: ByteString): readonly ByteString[] {
  const slash = glob.lastIndexOf('/')
  const [folder, pattern] = [glob.slice(0, slash), glob.slice(slash + 1)]
  if (!/[*?[]/.test(pattern)) return [glob]
  const found = locate(tree, `${folder}/`)
  if ('problem' in found) return []
  const matches = globPattern(pattern)
  return [...(tree.list?.(found.names) ?? [])]
    .filter((name) => !name.startsWith('.') && matches.test(name))
    .sort()
    .map((name) => `${folder}/${name}`)
}

function globPattern(glob: string): RegExp {
  const source = glob.replaceAll(/[*?]|\[!?[^\]]+\]|[^A-Za-z0-9]/g, (token) => {
    if (token === '*') return '[^/]*'
    if (token === '?') return '[^/]'
    if (token.length > 2) return token.replace('[!', '[^').replaceAll('\\', '\\\\')
    return `\\${token}`
  })
  return new RegExp(`^${source}$`, 's')
}

function readText(tree: FileTree, path: ByteString, maxBytes: number): ByteString {
  const found = locate(tree, path)
  return 'problem' in found || found.node.type !== 'file' ? '' : found.node.read(maxBytes).toString('latin1')
}

function absolute(path: ByteString, folder: ByteString): ByteString {
  return path.startsWith('/') ? path : `${folder}/${path}`
}

function basename(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1)
}

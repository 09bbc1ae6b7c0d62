/** An OCI image layout in a tar file, read in place. */
import { realpath, stat } from 'node:fs/promises'
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, hexOf } from '../image/digest.ts'
import type { LayoutReference } from '../image/types.ts'
import { findReading } from './layout.ts'
import { MAX_INDEX_BYTES, MAX_MARKER_BYTES } from './layout-files.ts'
import type { LayoutFiles } from './layout-files.ts'
import { openRegular, readRange, readWhole } from './read-file.ts'
import type { OpenedFile } from './read-file.ts'
import { indexTar } from './tar-index.ts'
import type { TarMember } from './tar-index.ts'

/** Opens the file that the reference names and reads its table of contents. Throws ImageNotFound or LayoutInvalid. */
export async function openArchiveLayout(reference: LayoutReference, baseDir: string): Promise<LayoutFiles> {
  const { path, tag } = await findReading(reference, baseDir)
  const file = await openRegular(path)
  if (file === undefined)
    throw new ExpectedError('ImageNotFound', `there is no image archive at ${printable(path)}`, { path })
  try {
    const members = await indexTar(file.handle, file.size, path)
    if (!members.has('index.json') && members.has('manifest.json')) throw dockerArchive(path)
    return archiveFiles(path, tag, file, members)
  } catch (error) {
    await file.handle.close()
    throw error
  }
}

function archiveFiles(
  path: string,
  tag: string | undefined,
  file: OpenedFile,
  members: ReadonlyMap<string, TarMember>,
): LayoutFiles {
  const small = async (name: string, maxBytes: number): Promise<Buffer | undefined> => {
    const member = members.get(name)
    if (member === undefined) return undefined
    await checkUnchanged(path, file)
    return readWhole(file.handle, member.offset, member.size, maxBytes, `${name} of ${path}`)
  }
  return {
    kind: 'oci-archive',
    path,
    tag,
    realPath: () => realpath(path),
    readMarker: () => small('oci-layout', MAX_MARKER_BYTES),
    readIndex: () => small('index.json', MAX_INDEX_BYTES),
    openBlob: (digest) => {
      const member = members.get(`blobs/${algorithmOf(digest)}/${hexOf(digest)}`)
      if (member === undefined) return Promise.resolve(undefined)
      const read = (signal: AbortSignal) => readRange(file.handle, member.offset, member.size, signal)
      return Promise.resolve({ size: member.size, read, close: () => Promise.resolve() })
    },
    close: () => file.handle.close(),
  }
}

/** The offsets are those of the file that was opened; another file under the name, or a longer one, has its own. */
async function checkUnchanged(path: string, file: OpenedFile): Promise<void> {
  const [opened, named] = await Promise.all([file.handle.stat(), stat(path).catch(() => undefined)])
  if (
    named !== undefined &&
    named.ino === opened.ino &&
    named.dev === opened.dev &&
    opened.size === file.size
  )
    return
  throw new ExpectedError('LayoutInvalid', `${printable(path)} was replaced while it was read`, {
    retry: 'backoff',
  })
}

function dockerArchive(path: string): ExpectedError {
  return new ExpectedError(
    'LayoutInvalid',
    `${printable(path)} is an archive of docker save without an OCI layout; write it with Docker 25 or later, or convert it with skopeo`,
  )
}

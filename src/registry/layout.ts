/** An OCI image layout in a folder, read without writing, locking or touching anything in it. */
import { realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ExpectedError, printable } from '../errors.ts'
import { algorithmOf, hexOf } from '../image/digest.ts'
import { splits } from '../image/layout-reference.ts'
import type { Digest, LayoutReference } from '../image/types.ts'
import { MAX_INDEX_BYTES, MAX_MARKER_BYTES } from './layout-files.ts'
import type { BlobFile, LayoutFiles } from './layout-files.ts'
import { openRegular, readRange, readSmallFile } from './read-file.ts'

/** Opens the folder that the reference names, relative to `baseDir`. Throws ImageNotFound or LayoutInvalid. */
export async function openFolderLayout(reference: LayoutReference, baseDir: string): Promise<LayoutFiles> {
  const { path, tag } = await findReading(reference, baseDir)
  return {
    kind: 'oci',
    path,
    tag,
    realPath: async () => dirname(await realpath(join(path, 'index.json'))),
    readMarker: () => readSmallFile(join(path, 'oci-layout'), MAX_MARKER_BYTES),
    readIndex: () => readSmallFile(join(path, 'index.json'), MAX_INDEX_BYTES),
    openBlob: (digest) => openBlob(path, digest),
    close: () => Promise.resolve(),
  }
}

/** The first reading of the reference whose path exists: a path may hold colons, a full name has some too. */
export async function findReading(
  reference: LayoutReference,
  baseDir: string,
): Promise<{ readonly path: string; readonly tag: string | undefined }> {
  for (const reading of splits(reference)) {
    const path = resolve(baseDir, reading.path)
    if (await exists(path)) return { path, tag: reading.tag }
  }
  const path = resolve(baseDir, reference.path)
  const what = reference.kind === 'oci' ? 'image layout' : 'image archive'
  throw new ExpectedError('ImageNotFound', `there is no ${what} at ${printable(path)}`, {
    retry: 'backoff',
    path,
  })
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return false
    throw new ExpectedError('LayoutInvalid', `${printable(path)} cannot be read: ${code ?? String(error)}`, {
      retry: 'backoff',
      path,
      cause: error,
    })
  }
}

/** Blobs may be symlinks, also out of the layout (rules_oci): what they lead to is verified by digest. */
async function openBlob(path: string, digest: Digest): Promise<BlobFile | undefined> {
  const file = await openRegular(join(path, 'blobs', algorithmOf(digest), hexOf(digest)))
  if (file === undefined) return undefined
  return {
    size: file.size,
    read: (signal) => readRange(file.handle, 0, file.size, signal),
    close: () => file.handle.close(),
  }
}

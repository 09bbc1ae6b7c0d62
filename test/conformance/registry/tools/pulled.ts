/** Reads what a tool pulled: an OCI layout, whatever of it the tool wrote, or an unpacked tree. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { digestOf } from '../../../support/registry/content.ts'
import type { Brought } from '../verdict.ts'
import { EVIL, GENUINE } from '../images.ts'

/** Every blob must have its name's digest; the markers are looked for in all of them. */
export function readLayout(folder: string): Brought {
  const markers = new Set<string>()
  const problems: string[] = []
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const blobs = path.join(folder, 'blobs', algorithm)
    if (!existsSync(blobs)) continue
    for (const name of readdirSync(blobs)) {
      const bytes = readFileSync(path.join(blobs, name))
      if (digestOf(bytes, algorithm) !== `${algorithm}:${name}`)
        problems.push('stored bytes that do not have the digest they are stored under')
      const text = decompressed(bytes)
      for (const marker of [GENUINE, EVIL]) if (text.includes(marker)) markers.add(marker)
    }
  }
  return { markers: [...markers], problems }
}

export function readTree(folder: string): Brought {
  const marker = path.join(folder, 'marker')
  return { markers: existsSync(marker) ? [readFileSync(marker, 'utf8')] : [] }
}

function decompressed(bytes: Buffer): Buffer {
  if (bytes.length > 4 && bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes)
  if (bytes.length > 4 && bytes.readUInt32LE(0) === 0xfd2fb528) return zstdDecompressSync(bytes)
  return bytes
}

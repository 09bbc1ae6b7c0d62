/** Lines of a stream, bounded in length. Pure but for reading its argument. */
import { networkFailure } from './api-error.ts'
import { tooLong } from './body.ts'

const NEWLINE = 0x0a
/** Ten times the largest object that etcd takes by default. */
const MAX_LINE_BYTES = 16 * 1024 * 1024

/** Without the line ends; empty lines are left out. Throws ClusterUnavailable when the last one has no end. */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  maxBytes = MAX_LINE_BYTES,
): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end))
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      size = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    size += chunk.length - start
    if (size > maxBytes) throw tooLong(maxBytes)
  }
  if (size > 0) throw networkFailure('a watch broke off inside a line')
}

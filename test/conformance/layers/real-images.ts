/** Images as people run them, on which all tools should agree. `make images` builds them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { demoImage } from '../../../scripts/lib/demo-image.ts'
import { postgresImage } from '../../../scripts/lib/postgres-image.ts'
import { busyboxImage } from '../../support/busybox-image.ts'
import { writeLayout } from '../../support/layout.ts'
import { layoutSubject, type Subject } from './run-tool.ts'

/** What there is of them in the table, in this order. */
export const REAL_IMAGES = [
  { id: 'image-busybox', title: 'an image of one static program' },
  { id: 'image-demo', title: 'the image of the demo' },
  { id: 'image-postgres', title: 'a database on a whole Debian' },
] as const

export async function withRealImages<Result>(
  use: (subjects: readonly Subject[]) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fairlead-images-'))
  try {
    const busybox = path.join(folder, 'busybox')
    await writeLayout(busybox, [{ image: busyboxImage(), tag: 'case' }])
    const [demo, postgres] = [await demoImage(), await postgresImage()]
    return await use([
      layoutSubject('image-busybox', busybox, 'case'),
      layoutSubject('image-demo', demo.layout, 'v2'),
      layoutSubject('image-postgres', postgres.layout, '15'),
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** One tool over many images, each image on its own, in one room. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { LayerLimits } from '../../../src/rootfs/types.ts'
import { writeLayout } from '../../support/layout.ts'
import { caseImage } from './case-image.ts'
import type { LayerCase } from './case.ts'
import { withoutClock, type Outcome } from './compare.ts'
import { steady } from './tools/fail-words.ts'
import { Room, ROOM_FOLDER } from './tools/room.ts'
import type { Job, Tool, ToolSession } from './tools/tool.ts'
import { walkLines } from './tools/walk.ts'

/** An image and how it gets to where tools find it. */
export interface Subject {
  /** Letters, digits and `-`. */
  readonly id: string
  readonly tag: string
  readonly limits?: Partial<LayerLimits> | undefined
  /** Makes the layout appear in `inside`, a folder of the room; returns its path as this process sees it. */
  bring(room: Room, inside: string): Promise<string>
}

export function caseSubject(layerCase: LayerCase): Subject {
  return {
    id: layerCase.id,
    tag: 'case',
    limits: layerCase.limits,
    bring: async (room, inside) => {
      const folder = path.join(room.folder, path.relative(ROOM_FOLDER, inside))
      await writeLayout(folder, [{ image: caseImage(layerCase), tag: 'case' }])
      return folder
    },
  }
}

/** An image that lies in a layout on this machine. It is not copied, and the tool cannot write to it. */
export function layoutSubject(id: string, layout: string, tag: string): Subject {
  return {
    id,
    tag,
    bring: async (room, inside) => {
      await mkdir(path.join(room.folder, path.relative(ROOM_FOLDER, inside)), { recursive: true })
      const { code, stderr } = await room.run(['mount', '--bind', '-o', 'ro', layout, inside])
      if (code !== 0) throw new Error(`${layout} cannot be mounted: ${stderr}`)
      return layout
    },
  }
}

/** By id of the subject; `onOutcome` hears of each at once. `look` reads more from where the tree was left. */
export async function runTool(
  tool: Tool,
  subjects: readonly Subject[],
  onOutcome: (id: string, outcome: Outcome, root: string | undefined) => void = () => undefined,
): Promise<ReadonlyMap<string, Outcome>> {
  const room = await Room.open()
  try {
    const session = await tool.open(room)
    const outcomes = new Map<string, Outcome>()
    for (const subject of subjects) {
      const layout = `${ROOM_FOLDER}/layouts/${subject.id}`
      const layoutSeen = await subject.bring(room, layout)
      const { id, tag, limits } = subject
      const { outcome, root } = await runOnce(session, { layout, layoutSeen, tag, id, limits })
      outcomes.set(id, outcome)
      onOutcome(id, outcome, root)
    }
    return outcomes
  } finally {
    await room.close()
  }
}

async function runOnce(
  session: ToolSession,
  job: Job,
): Promise<{ readonly outcome: Outcome; readonly root?: string }> {
  const from = Date.now() / 1000
  const result = await session.unpack(job)
  if ('failure' in result) return { outcome: result }
  try {
    const lines = withoutClock(await walkLines(result.root), from, Date.now() / 1000)
    return { outcome: { lines }, root: result.root }
  } catch (error) {
    return { outcome: { failure: steady(`the tree cannot be read: ${(error as Error).message}`) } }
  }
}

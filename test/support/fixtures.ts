/**
 * The real images that tests run, built when they are missing (`make images` does it beforehand). The folders are
 * shared by all tests and by the demo: read them, never write to them.
 */
import { demoImage } from '../../scripts/lib/demo-image.ts'
import { postgresImage } from '../../scripts/lib/postgres-image.ts'

/** Folder of the demo image's layout, tags `v1` and `v2`; five VOLUMEs, user `mattermost` (2000:2000). */
export async function demoLayout(): Promise<string> {
  return (await demoImage()).layout
}

/** A plugin's program for the demo image, to be uploaded with `PUT /plugins/NAME`. */
export async function extraPlugin(): Promise<string> {
  return (await demoImage()).extraPlugin
}

/** Folder of the PostgreSQL image's layout, tags `15` and `15-next`; VOLUMEs /var/lib/postgresql/data and /ext. */
export async function postgresLayout(): Promise<string> {
  return (await postgresImage()).layout
}

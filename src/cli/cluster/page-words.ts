/** What a page about an app says on a cluster where it says something else on a host. */
import type { PageWords } from '../app-page.ts'
import { PLUGIN_PROGRAM } from './program-name.ts'

export const CLUSTER_WORDS: PageWords = {
  program: PLUGIN_PROGRAM,
  unseen:
    'no controller has looked at it yet; if that stays so: does one run, and does it watch this namespace?',
}

/** The API server's audit log: every write with who made it, in the order of completion. */
import { readFile } from 'node:fs/promises'

/** One line of the log (audit.k8s.io/v1), reduced to what tests ask for. */
export interface AuditEvent {
  readonly verb: string
  readonly user: { readonly username: string; readonly groups?: readonly string[] }
  readonly userAgent?: string
  readonly requestURI: string
  readonly objectRef?: {
    readonly resource: string
    readonly apiGroup?: string
    readonly namespace?: string
    readonly name?: string
    readonly subresource?: string
  }
  readonly responseStatus?: { readonly code?: number; readonly reason?: string }
  /** RFC 3339 with microseconds. */
  readonly requestReceivedTimestamp: string
}

/** Metadata of every write, once, when its answer is complete; reads are not logged. */
export const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [
    { level: 'Metadata', verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] },
    { level: 'None' },
  ],
}

/** Empty before the first write. A last line that is still being written is left for the next call. */
export async function readAudit(file: string): Promise<readonly AuditEvent[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEvent)
}

/** A certificate for 127.0.0.1 and localhost, signed by itself, made anew with openssl for each run. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TlsFiles } from './hostile-registry.ts'

const KEYS = {
  ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
  rsa: ['rsa:2048'],
} as const

/** `caFile` is to be trusted, `keyFile` is its key; the folder is the caller's to remove. */
export async function makeCertificate(
  kind: keyof typeof KEYS = 'ec',
): Promise<TlsFiles & { readonly folder: string; readonly caFile: string; readonly keyFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-tls-'))
  const keyFile = join(folder, 'key.pem')
  const caFile = join(folder, 'cert.pem')
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.example'
  const options = ['-newkey', ...KEYS[kind], '-nodes', '-days', '2', '-subj', '/CN=test']
  execFileSync(
    'openssl',
    ['req', '-x509', ...options, '-addext', names, '-keyout', keyFile, '-out', caFile],
    { stdio: 'ignore' },
  )
  return {
    folder,
    caFile,
    keyFile,
    key: await readFile(keyFile, 'utf8'),
    cert: await readFile(caFile, 'utf8'),
  }
}

/** Keys and certificates of one run, made by openssl: elliptic curves, because those take milliseconds. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { mustRun } from '../../../scripts/lib/run.ts'

/** PEM texts, and the files that hold them. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface CertificateRequest {
  /** Names the files. */
  readonly name: string
  readonly commonName: string
  /** Kubernetes reads groups from here. */
  readonly organization?: string
  /** Of servers, as openssl writes them: `IP:127.0.0.1`, `DNS:localhost`. */
  readonly altNames?: readonly string[]
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30']

export class CertificateAuthority {
  readonly folder: string
  readonly own: Certificate

  private constructor(folder: string, own: Certificate) {
    this.folder = folder
    this.own = own
  }

  static async create(folder: string): Promise<CertificateAuthority> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const files = filesOf(folder, 'ca')
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,digitalSignature']
    await openssl(['req', '-x509', ...NEW_KEY, ...usage, '-subj', '/CN=fairlead-bed', ...out(files)])
    return new CertificateAuthority(folder, await readCertificate(files))
  }

  /** The one that `create` made in this folder. */
  static async open(folder: string): Promise<CertificateAuthority> {
    return new CertificateAuthority(folder, await readCertificate(filesOf(folder, 'ca')))
  }

  /** One that `issue` made. */
  read(name: string): Promise<Certificate> {
    return readCertificate(filesOf(this.folder, name))
  }

  /** For servers and clients alike. */
  async issue(request: CertificateRequest): Promise<Certificate> {
    const files = filesOf(this.folder, request.name)
    const groups = request.organization === undefined ? '' : `/O=${request.organization}`
    const names = request.altNames ?? []
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      ...(names.length === 0 ? [] : [`subjectAltName=${names.join(',')}`]),
    ]
    const signer = ['-CA', this.own.certFile, '-CAkey', this.own.keyFile]
    const subject = ['-subj', `${groups}/CN=${request.commonName}`]
    const wanted = extensions.flatMap((extension) => ['-addext', extension])
    await openssl(['req', '-x509', ...signer, ...NEW_KEY, ...subject, ...wanted, ...out(files)])
    return await readCertificate(files)
  }
}

/** A private key alone, for signing the tokens of service accounts; the API server reads SEC 1, not PKCS 8. */
export async function makeKey(file: string): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFile(file, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
}

async function openssl(args: readonly string[]): Promise<void> {
  await mustRun('openssl', args)
}

function filesOf(folder: string, name: string) {
  return { certFile: path.join(folder, `${name}.crt`), keyFile: path.join(folder, `${name}.key`) }
}

function out(files: { readonly certFile: string; readonly keyFile: string }): readonly string[] {
  return ['-keyout', files.keyFile, '-out', files.certFile]
}

async function readCertificate(files: { certFile: string; keyFile: string }): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(files.certFile, 'utf8'), readFile(files.keyFile, 'utf8')])
  return { ...files, cert, key }
}

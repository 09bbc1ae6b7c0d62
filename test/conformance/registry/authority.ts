/** A certificate authority of the kit and the certificates that cases need, made anew with openssl for each run. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isIP } from 'node:net'
import type { TlsFiles } from '../../support/hostile-registry.ts'
import { ADDRESSES, NAMES } from './network.ts'

export interface Authority {
  /** PEM file of the authority that clients are to trust. */
  readonly caFile: string
  readonly ca: string
  /** For every name and address of the kit. */
  readonly good: TlsFiles
  /** Of an authority that nobody trusts. */
  readonly stranger: TlsFiles
  /** Signed by the trusted authority for a name that nobody asks. */
  readonly misnamed: TlsFiles
  /** PEM files for a client to show. */
  readonly client: { readonly certFile: string; readonly keyFile: string }
}

/** Writes it below `folder`, once; other processes read what is there with `openAuthority`. */
export function makeAuthority(folder: string): void {
  const names = [...Object.keys(NAMES), 'localhost', ...Object.values(ADDRESSES)]
  makeRoot(folder, 'ca')
  makeRoot(folder, 'strange-ca')
  makeLeaf(folder, 'good', 'ca', names)
  makeLeaf(folder, 'stranger', 'strange-ca', names)
  makeLeaf(folder, 'misnamed', 'ca', ['nobody.example'])
  makeLeaf(folder, 'client', 'ca', ['client.example'])
}

export function openAuthority(folder: string): Authority {
  const file = (name: string) => path.join(folder, name)
  const pair = (name: string): TlsFiles => ({
    key: readFileSync(file(`${name}.key`), 'utf8'),
    cert: readFileSync(file(`${name}.pem`), 'utf8'),
  })
  return {
    caFile: file('ca.pem'),
    ca: readFileSync(file('ca.pem'), 'utf8'),
    good: pair('good'),
    stranger: pair('stranger'),
    misnamed: pair('misnamed'),
    client: { certFile: file('client.pem'), keyFile: file('client.key') },
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function makeRoot(folder: string, name: string): void {
  const files = ['-keyout', path.join(folder, `${name}.key`), '-out', path.join(folder, `${name}.pem`)]
  openssl(['req', '-x509', ...NEW_KEY, '-days', '30', '-subj', `/CN=${name} of the kit`, ...files])
}

function makeLeaf(folder: string, name: string, ca: string, names: readonly string[]): void {
  const file = (suffix: string) => path.join(folder, `${name}.${suffix}`)
  const alternatives = [...new Set(names)].map((one) => `${isIP(one) === 0 ? 'DNS' : 'IP'}:${one}`).join(',')
  const usage = 'extendedKeyUsage=serverAuth,clientAuth'
  writeFileSync(file('ext'), `subjectAltName=${alternatives}\n${usage}\nbasicConstraints=CA:FALSE\n`)
  openssl(['req', '-new', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', file('key'), '-out', file('csr')])
  const signer = ['-CA', path.join(folder, `${ca}.pem`), '-CAkey', path.join(folder, `${ca}.key`)]
  const request = ['-in', file('csr'), '-extfile', file('ext'), '-out', file('pem')]
  openssl(['x509', '-req', '-CAcreateserial', '-days', '30', ...signer, ...request])
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

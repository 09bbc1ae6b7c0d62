/** Places where a registry may try to send a client, and where none may be reached from a public network. */
import { connectedTo } from '../checks.ts'
import type { Stage } from '../stage.ts'

export interface Place {
  readonly word: string
  readonly title: string
  readonly host: string
}

/** The port 8443 is open at the traps only. */
export const FORBIDDEN_PLACES: readonly Place[] = [
  place('metadata', 'the metadata service', '169.254.169.254'),
  place('decimal', 'the metadata service as one number', '2852039166'),
  place('hex', 'the metadata service in hexadecimal', '0xa9fea9fe'),
  place('octal', 'the metadata service in octal', '0251.0376.0251.0376'),
  place('mapped', 'the metadata service as mapped IPv6', '[::ffff:169.254.169.254]'),
  place('nat64', 'the metadata service behind NAT64', '[64:ff9b::a9fe:a9fe]'),
  place('metadata6', 'the metadata service’s IPv6 address', '[fd00:ec2::254]'),
  place('name', 'a name of the metadata service', 'metadata.example'),
  place('mixed', 'a name with a public address and the metadata service’s', 'mixed.example:8443'),
  place('rebind', 'a name that changes to the metadata service’s address', 'rebind.example:8443'),
  place('unspecified', 'the unspecified address, which is this machine', '0.0.0.0'),
  place('loopback', 'this machine', '127.0.0.1'),
  place('loopback-name', 'a name of this machine', 'loop.example'),
  place('private', 'a private network', '10.20.30.40'),
  place('private-name', 'a name in a private network', 'lan.example'),
]

/** The traps are held against everybody anyway; the private network is one only for those who come from outside. */
export function reachedPrivate(stage: Stage): string | undefined {
  return connectedTo([stage.parties.lan, stage.parties.lanAuth, stage.parties.lanPlain])
}

function place(word: string, title: string, host: string): Place {
  return { word, title, host }
}

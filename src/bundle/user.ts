/**
 * Who the process is: the image's `User` resolved with the image's own /etc/passwd and /etc/group (oci.md §4.2,
 * image-spec conversion.md). Names are bytes; a host's accounts never matter.
 */
import { ExpectedError, printable } from '../errors.ts'
import { toBytes, toText } from '../image/bytes.ts'
import type { ByteString } from '../image/bytes.ts'
import { locate } from './locate.ts'
import type { FileTree } from '../rootfs/types.ts'
import { MAX_ID, parseGroup, parseId, parsePasswd } from './passwd.ts'
import type { GroupEntry, PasswdEntry } from './passwd.ts'
import type { Identity } from './types.ts'

/** Far above any real file; a bound for hostile ones. */
const MAX_FILE_BYTES = 10 * 1024 * 1024

/**
 * Resolves `""`, `user` or `user:group`, each a name or a number; a number is always an id, never a name.
 * Without a group the process gets the groups of the matched account, its primary group first (a primary group that
 * is missing there can be dropped and so used to get round a "group may not" mode, CVE-2022-36109). With a group
 * given there are no supplementary groups.
 * @throws ExpectedError UserNotFound
 */
export function resolveIdentity(user: string, tree: FileTree): Identity {
  const [userPart, groupPart] = splitUser(user)
  const account = findAccount(userPart, parsePasswd(readAccountFile(tree, '/etc/passwd')), user)
  const groups = parseGroup(readAccountFile(tree, '/etc/group'))
  const identity = {
    uid: account.uid,
    home: account.home,
    name: account.name === undefined ? undefined : toText(account.name),
  }
  if (groupPart !== '') {
    return { ...identity, gid: findGroup(groupPart, groups, user), additionalGids: [] }
  }
  return { ...identity, gid: account.gid, additionalGids: groupsOf(account, groups) }
}

interface Account {
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly name: ByteString | undefined
}

function splitUser(user: string): readonly [string, string] {
  const colon = user.indexOf(':')
  return colon === -1 ? [user, ''] : [user.slice(0, colon), user.slice(colon + 1)]
}

/** No user at all means uid 0, but still with what the image says about it. */
function findAccount(wanted: string, accounts: readonly PasswdEntry[], user: string): Account {
  const id = wanted === '' ? 0 : numericId(wanted, user, 'user')
  if (id !== undefined) {
    const entry = accounts.find((account) => account.uid === id)
    return entry === undefined ? { uid: id, gid: 0, home: '/', name: undefined } : usable(entry, user)
  }
  const name = toBytes(wanted)
  const entry = accounts.find((account) => account.name === name)
  if (entry !== undefined) return usable(entry, user)
  throw userNotFound(
    user,
    `the image's /etc/passwd has no user "${printable(wanted)}"; use one that it lists, or a numeric id`,
  )
}

function usable(entry: PasswdEntry, user: string): Account {
  if (entry.uid === undefined || entry.gid === undefined) {
    const which = entry.uid === undefined ? 'user id' : 'group id'
    throw userNotFound(
      user,
      `the image's /etc/passwd lists "${printable(toText(entry.name))}" with a ${which} that is not a number from 0 to ${MAX_ID}`,
    )
  }
  const home = toText(entry.home)
  return { uid: entry.uid, gid: entry.gid, home: home === '' ? '/' : home, name: entry.name }
}

function findGroup(wanted: string, groups: readonly GroupEntry[], user: string): number {
  const id = numericId(wanted, user, 'group')
  if (id !== undefined) return id
  const name = toBytes(wanted)
  const entry = groups.find((group) => group.name === name)
  if (entry === undefined) {
    throw userNotFound(
      user,
      `the image's /etc/group has no group "${printable(wanted)}"; use one that it lists, or a numeric id`,
    )
  }
  if (entry.gid === undefined) {
    throw userNotFound(
      user,
      `the image's /etc/group lists "${printable(wanted)}" with an id that is not a number from 0 to ${MAX_ID}`,
    )
  }
  return entry.gid
}

/** Groups that list the account by name, after the primary one; none when the account is only a number. */
function groupsOf(account: Account, groups: readonly GroupEntry[]): readonly number[] {
  const { name } = account
  if (name === undefined) return []
  const listed = groups.flatMap((group) =>
    group.gid !== undefined && group.members.includes(name) ? [group.gid] : [],
  )
  return [...new Set([account.gid, ...listed])]
}

/** The id when `text` is written as a number, signs included, so that `-1` is refused and not looked up as a name. */
function numericId(text: string, user: string, what: 'user' | 'group'): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined
  const id = parseId(text)
  if (id !== undefined) return id
  throw userNotFound(
    user,
    `the numeric ${what} "${printable(text)}" is out of range; ids go from 0 to ${MAX_ID}`,
  )
}

/** The file's bytes, symlinks followed inside the image (Nix images have them); empty when there is none. */
function readAccountFile(tree: FileTree, path: string): ByteString {
  const found = locate(tree, path)
  if ('problem' in found) {
    if (found.problem === 'loop')
      throw new ExpectedError('UserNotFound', `the image's ${path} is a loop of symlinks`, { path })
    return ''
  }
  if (found.node.type !== 'file') {
    throw new ExpectedError(
      'UserNotFound',
      `the image's ${path} is a ${found.node.type}, not a regular file`,
      { path },
    )
  }
  if (found.node.size > MAX_FILE_BYTES) {
    throw new ExpectedError(
      'UserNotFound',
      `the image's ${path} has ${found.node.size} bytes; at most ${MAX_FILE_BYTES} are read`,
      { path },
    )
  }
  return found.node.read(MAX_FILE_BYTES).toString('latin1')
}

function userNotFound(user: string, message: string): ExpectedError {
  return new ExpectedError('UserNotFound', `user "${printable(user)}": ${message}`, { path: 'spec.user' })
}

/** What an image's folder may hold, for whoever copies one. */
import { chmod, chown, link, lstat, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { runToEnd } from '../engine/local/temporary.ts'

/** A folder with one of everything that images have; owner 2000:2001, mode 2751. Needs root. */
export async function makeRichFolder(data: string): Promise<void> {
  const at = (name: string) => path.join(data, name)
  for (const name of ['plain', 'setgid', 'sticky', 'empty', 'plugins/deep', 'private'])
    await mkdir(at(name), { recursive: true })
  await writeFile(at('plain/file'), 'from the image\n')
  await link(at('plain/file'), at('plain/same file'))
  await writeFile(at('plain/zero'), '')
  await writeFile(at('plain/setuid'), '#!/bin/sh\n')
  await writeFile(at('plain/capable'), Buffer.from([0x7f, 0x45, 0x4c, 0x46]))
  await writeFile(at('plugins/plugin'), 'plugin\n')
  await writeFile(at('plugins/deep/below'), 'below\n')
  await symlink('../../../etc/passwd', at('plain/escape'))
  await symlink('/nowhere', at('plain/dangling'))
  await expectDone(['mkfifo', at('plain/fifo')])
  await expectDone(['setfattr', '-n', 'user.note', '-v', 'kept', at('plain/file')])
  await expectDone(['setfattr', '-n', 'user.folder', '-v', 'kept', data])
  // CAP_SETUID and CAP_NET_BIND_SERVICE: bit 7 is a byte of 0x80, which decoders of text destroy.
  for (const name of ['plain/file', 'plain/zero', 'empty', 'plugins', 'plugins/plugin', 'plain/capable', '.'])
    await chown(at(name), 2000, 2001)
  await chown(at('sticky'), 4_000_000_000, 4_000_000_001)
  await expectDone(['setcap', 'cap_setuid,cap_net_bind_service=ep', at('plain/capable')])
  for (const [name, mode] of Object.entries(MODES)) await chmod(at(name), mode)
  const names = await runToEnd(['find', data, '-depth', '-print0'])
  for (const [index, name] of names.stdout
    .split('\0')
    .filter((text) => text !== '')
    .entries()) {
    if (!(await lstat(name)).isSymbolicLink()) await utimes(name, 1000, 1_600_000_000.123 + index)
  }
}

const MODES = {
  'plain/setuid': 0o4755,
  setgid: 0o2775,
  sticky: 0o1777,
  private: 0o700,
  plugins: 0o2770,
  '.': 0o2751,
}

export async function expectDone(command: readonly string[]): Promise<void> {
  const { code, stderr } = await runToEnd(command)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
}

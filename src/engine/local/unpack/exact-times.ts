/**
 * Times that node:fs would get wrong: it takes seconds as a double, which is up to 245 ns off for fractions of today's
 * times, and reads negative numbers as "now". perl-base (Essential in Debian) makes the system call with exact numbers.
 */
import { arch } from 'node:process'
import { ExpectedError } from '../../../errors.ts'
import { toBuffer, type ByteString } from '../../../image/bytes.ts'
import type { Inode } from '../../../rootfs/types.ts'
import { runTool } from './tools.ts'

/** utimensat(2) by machine. */
const UTIMENSAT: Readonly<Record<string, number>> = {
  x64: 280,
  arm64: 88,
  riscv64: 88,
  ppc64: 304,
  s390x: 315,
}

/** AT_FDCWD is -100 and AT_SYMLINK_NOFOLLOW 0x100; a timespec is two native 64-bit numbers. */
const SCRIPT = `
  my $number = shift;
  $/ = "\\0";
  while (my $time = <STDIN>) {
    chomp $time;
    chomp(my $path = <STDIN>);
    my ($seconds, $nanoseconds) = split / /, $time;
    my $times = pack 'q4', $seconds, $nanoseconds, $seconds, $nanoseconds;
    syscall($number + 0, -100, $path, $times, 0x100) == 0 or die "utimensat: $!\\n";
  }
`

/** A name below the folder, and the time it is to have. */
export interface WithTime {
  readonly names: readonly ByteString[]
  readonly inode: Pick<Inode, 'mtime'>
}

/** Sets access and modification time of these names, without following symlinks. */
export async function setExactTimes(names: readonly WithTime[], rootDir: string): Promise<void> {
  if (names.length === 0) return
  const number = UTIMENSAT[arch]
  if (number === undefined)
    throw new ExpectedError('RuntimeFailed', `exact file times are not supported on ${arch}`)
  const input = names.map(({ names, inode }) =>
    toBuffer(`${inode.mtime.seconds} ${inode.mtime.nanoseconds}\0./${names.join('/')}\0`),
  )
  await runTool({
    command: ['perl', '-e', SCRIPT, String(number)],
    debianPackage: 'perl-base',
    cwd: rootDir,
    input: Buffer.concat(input),
  })
}

/**
 * Shares the blocks of files with equal content and different attributes, where the file system can (btrfs, XFS): the
 * kernel compares all bytes and changes nothing but where they lie (ioctl_fideduperange(2)). node:fs has no ioctl;
 * perl-base is Essential in Debian.
 */
import { statfs } from 'node:fs/promises'
import { runTool } from '../unpack/tools.ts'

/** File systems that may be able to, by their number in statfs(2). Others need not be asked for each image. */
const CAN_CLONE = new Set([0x9123683e, 0x58465342])

/**
 * `struct file_dedupe_range`: where from and how much, then for one target: descriptor, offset, and what the kernel
 * answers: bytes done and a status, negative for an error, 1 for different bytes. A file that is gone or differs is left
 * as it is; an error of the first request (an XFS without reflinks) is one of the file system.
 */
const SCRIPT = `
  my $most = 16 * 1024 * 1024;
  $/ = "\\0";
  while (my $size = <STDIN>) {
    chomp $size;
    chomp(my $source = <STDIN>);
    chomp(my $target = <STDIN>);
    open my $from, '<', $source or next;
    open my $to, '<', $target or next;
    for (my $at = 0; $at < $size;) {
      my $length = $size - $at < $most ? $size - $at : $most;
      my $request = pack 'Q Q S S L q Q Q l L', $at, $length, 1, 0, 0, fileno($to), $at, 0, 0, 0;
      defined ioctl $from, 0xC0189436, $request or exit 0;
      my (undef, undef, undef, undef, undef, undef, undef, $done, $status) = unpack 'Q Q S S L q Q Q l L', $request;
      last if $status != 0 || $done == 0;
      $at += $done;
    }
  }
`

export interface ClonePair {
  readonly source: string | Buffer
  readonly target: string | Buffer
  readonly size: number
}

/** Whether `cloneFiles` may be of use for files below `dir`. */
export async function mayClone(dir: string): Promise<boolean> {
  return CAN_CLONE.has((await statfs(dir)).type)
}

/** Gives each target the blocks of its source where they have the same bytes. Paths are absolute. Throws as `runTool`. */
export async function cloneFiles(pairs: readonly ClonePair[], dir: string): Promise<void> {
  if (pairs.length === 0) return
  const end = Buffer.from([0])
  const input = pairs.flatMap(({ source, target, size }) => [
    Buffer.from(`${size}\0`),
    Buffer.from(source),
    end,
    Buffer.from(target),
    end,
  ])
  await runTool({
    command: ['perl', '-e', SCRIPT],
    debianPackage: 'perl-base',
    cwd: dir,
    input: Buffer.concat(input),
  })
}

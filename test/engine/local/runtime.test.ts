import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openFilesHardLimit } from '../../../src/engine/local/host.ts'
import { deleteContainer, run, runtimeFor } from '../../../src/engine/local/runtime.ts'
import { failureOf } from '../../support/expected-error.ts'
import { temporaryFolder } from './temporary.ts'

const shell = (script: string, timeoutMs?: number) => run(['/bin/sh', '-c', script], timeoutMs)

describe('a command', () => {
  test.each([
    ['exit 0', 0],
    ['exit 1', 1],
    ['exit 97', 97],
    // A copy that the kernel's out-of-memory killer ended is no finished copy.
    ['kill -KILL $$', 137],
    ['kill -TERM $$', 143],
  ])('%j ends with code %i', async (script, code) => {
    expect((await shell(script)).code).toBe(code)
  })

  test('that takes too long is ended, and did not succeed', async () => {
    expect((await shell('exec sleep 60', 100)).code).toBe(124)
  })

  test('that says more than is kept did not succeed', async () => {
    expect((await shell('head -c 5000000 /dev/zero')).code).not.toBe(0)
  })

  test('is heard on both outputs, in English', async () => {
    expect(await shell('echo out; echo err >&2; echo "$LC_ALL"; exit 3')).toEqual({
      code: 3,
      stdout: 'out\nC\n',
      stderr: 'err\n',
    })
  })

  test('gets its words as they are, not through a shell', async () => {
    expect(await run(['printf', '%s|', 'a b', '$(id)', "'"])).toMatchObject({ stdout: "a b|$(id)|'|" })
  })

  test('that is not installed says how to get it', async () => {
    expect(await failureOf(() => run(['no-such-runtime']))).toMatch(
      /^RuntimeMissing: no-such-runtime is not installed/,
    )
  })
})

const HOST = { architecture: 'amd64', nofileHard: 1, filesystems: [] }
test.each([
  ['runc', 'v1', ['runc', '--root', '/run/runc'], false],
  ['runc', 'v2', ['runc', '--root', '/run/runc'], false],
  ['crun', 'v2', ['crun', '--root', '/run/crun'], false],
  ['crun', 'v1', ['crun', '--root', '/run/crun', '--cgroup-manager=disabled'], true],
  ['crun', 'hybrid', ['crun', '--root', '/run/crun', '--cgroup-manager=disabled'], true],
] as const)('%s with cgroups %s', (name, cgroups, command, ownCgroups) => {
  expect(runtimeFor(name, '/run', { ...HOST, cgroups })).toEqual({ name, command, ownCgroups })
})

test.each([
  [
    'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files     \n',
    524_288,
  ],
  ['Max open files            1024                 unlimited            files\n', 1_048_576],
  ['nothing\n', 1_048_576],
])('the hard limit of open files in %j is %i', (limits, expected) => {
  expect(openFilesHardLimit(limits)).toBe(expected)
})

describe('removing a container', () => {
  const LOADING = 'error loading `/state/runtime/crun/x/config.json`'
  /** A runtime that says the words one after the other, and the last of them for ever; an empty one is success. */
  async function runtimeThatSays(...words: readonly string[]) {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'words'), `${words.join('\n')}\n`)
    const script = `cd "$0" && read -r word <words && if [ "$(wc -l <words)" -gt 1 ]; then sed -i 1d words; fi
      [ -z "$word" ] || { echo "$word" >&2; exit 1; }`
    return { name: 'crun', command: ['/bin/sh', '-c', script, folder], ownCgroups: false } as const
  }

  test.each([
    ['that is there', ['']],
    ['that is gone', ['container `x` does not exist']],
    ['that somebody else removes at this moment', [LOADING, LOADING, 'container `x` does not exist']],
  ])('%s is done', async (_which, words) => {
    await expect(deleteContainer(await runtimeThatSays(...words), 'x')).resolves.toBeUndefined()
  })

  test.each([
    ['stays as it is', LOADING],
    ['can’t be removed', 'operation not permitted'],
  ])('that %s is told', async (_which, words) => {
    const runtime = await runtimeThatSays(words)
    expect(await failureOf(() => deleteContainer(runtime, 'x'))).toBe(
      `RuntimeFailed: crun cannot remove x: ${words}`,
    )
  })
})

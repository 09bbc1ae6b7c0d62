import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { bashCompletion } from '../../src/cli/completion/bash.ts'
import { completedCommands } from '../../src/cli/completion/words.ts'
import { runningStatus, storeApp } from './prepared-state.ts'
import { Desk } from './run.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  return () => desk[Symbol.dispose]()
})

/** What bash offers for these words; the last one is being typed. */
function offers(words: readonly string[]): readonly string[] {
  const script = `
    fairlead() { if [ "$2" = apps ]; then printf '%s\\n' chat/mattermost web; elif [ "$2" = compared ]; then echo app://web; else printf '%s\\n' /data "/of/$3"; fi; }
    source ./completion.bash
    COMP_WORDS=(fairlead "$@"); COMP_CWORD=$#
    _fairlead 2>/dev/null
    printf '%s\\n' "\${COMPREPLY[@]}"`
  writeFileSync(join(desk.dir, 'completion.bash'), bashCompletion())
  const out = execFileSync('bash', ['--norc', '-c', script, 'bash', ...words], {
    cwd: desk.dir,
    encoding: 'utf8',
  })
  return out.split('\n').filter((line) => line !== '')
}

describe('bash', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    [
      'the first word',
      ['re'],
      ['rebuild', 'rollback', 'restart', 'resolve', 'render'].filter((word) => word.startsWith('re')),
    ],
    ['no hidden command', ['__'], []],
    ['a second word', ['volumes', 'e'], ['export']],
    ['apps', ['status', ''], ['chat/mattermost', 'web']],
    ['apps by their beginning', ['logs', 'ch'], ['chat/mattermost']],
    ['apps after options', ['logs', '-f', '--tail', '3', 'w'], []],
    ['many apps', ['down', 'web', ''], ['chat/mattermost', 'web']],
    ['no second app where one is enough', ['logs', 'web', ''], []],
    ['volumes of the app', ['volumes', 'rm', 'web', ''], ['/data', '/of/web']],
    ['options', ['up', '--wait'], ['--wait-timeout']],
    ['words of an option', ['status', '-o', 'j'], ['json']],
    ['runtimes', ['up', '--runtime', ''], ['runc', 'crun']],
    ['files', ['up', '-f', 'co'], ['completion.bash']],
    ['folders', ['status', '--state', 'st'], ['state']],
    ['what can be compared', ['diff', 'a'], ['app://web']],
    ['what it can be compared with', ['diff', './x', 'com'], ['completion.bash']],
    ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['nothing of ours after exec --', ['exec', 'web', '--', '-'], []],
    ['options before that', ['exec', '--t'], ['--tty']],
  ])('offers %s', (_title, words, expected) => {
    mkdirSync(desk.state)
    expect(offers(words)).toEqual(expected)
  })
})

describe.each(['bash', 'zsh', 'fish'])('the script for %s', (shell) => {
  test('has every command and every long option', async () => {
    const { stdout, code } = await desk.run(['completion', shell])
    expect(code).toBe(0)
    for (const { words, options } of completedCommands()) {
      for (const word of words.split(' ')) expect(stdout).toContain(word)
      for (const name of options.flatMap(({ names }) => names).filter((option) => option.startsWith('--')))
        expect(stdout).toContain(name.slice(2))
    }
    expect(stdout).not.toContain('undefined')
  })

  test('is valid for its shell, where the shell is here', async (context) => {
    const { stdout } = await desk.run(['completion', shell])
    const file = join(desk.dir, 'script')
    writeFileSync(file, stdout)
    const { status, stderr, error } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
    if (error !== undefined && 'code' in error && error.code === 'ENOENT')
      context.skip(`${shell} is not installed`)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

describe('__complete', () => {
  test('prints the names as they are typed', async () => {
    await storeApp(desk.state, 'web', runningStatus())
    await storeApp(desk.state, 'chat/a-b')
    expect(await desk.run(['__complete', 'apps'])).toMatchObject({ code: 0, stdout: 'chat/a-b\nweb\n' })
    expect(await desk.run(['__complete', 'volumes', 'web'])).toMatchObject({ code: 0, stdout: '/data\n' })
    expect((await desk.run(['__complete', 'compared'])).stdout).toBe(
      'app://chat/a-b\napp://web\nvolume://web:/data\n',
    )
  })

  test.each([[['apps']], [['volumes', 'none']], [['volumes', 'No_Name']], [['volumes']]])(
    '%j is silent where there is nothing',
    async (args) => {
      expect(await desk.run(['__complete', ...args])).toEqual(
        expect.objectContaining({ code: 0, stdout: '', stderr: '' }),
      )
    },
  )
})

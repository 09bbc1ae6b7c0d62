/**
 * Real PostgreSQL on a real node: a server that checks who owns its folder and with which mode, and loads libraries from
 * a volume. What was committed is there again after its pod, its image and its resource went.
 */
import { stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresLayout } from '../support/fixtures.ts'
import { readLayoutImage } from '../support/layout.ts'
import { givenKubeconfig, isClusterMissing } from './bed/test-cluster.ts'
import { Workbench } from './support/workbench.ts'

const NAME = 'database'
const DATA = '/var/lib/postgresql/data'
const UNCLEAN = 'database system was not properly shut down'

describe.skipIf((await isClusterMissing()) || givenKubeconfig() !== undefined)('PostgreSQL', () => {
  let bench: Workbench
  let image: string

  beforeAll(async () => {
    bench = await Workbench.create('e2e-postgres')
    const layout = await postgresLayout()
    image = await bench.push('postgres', '15', await readLayoutImage(layout, '15'))
    await bench.push('postgres', '15-next', await readLayoutImage(layout, '15-next'))
    await bench.applyObject({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'database' },
      stringData: { PASSWORD: 'correct horse $(battery) staple' },
    })
    await up(image)
    await sql('CREATE TABLE kept (id serial PRIMARY KEY, word text)')
    await keep('first')
  })

  afterAll(async () => await bench[Symbol.asyncDispose]())

  async function up(reference: string): Promise<void> {
    const command = ['psql', '-XqtA', '-U', 'postgres', '-c', 'SELECT 1']
    await bench.apply(NAME, reference, {
      env: [
        {
          name: 'POSTGRES_PASSWORD',
          valueFrom: { secretKeyRef: { name: 'database', key: 'PASSWORD' } },
        },
      ],
      ports: [{ name: 'postgres', port: 5432 }],
      probes: { readiness: { exec: { command }, periodSeconds: 1, timeoutSeconds: 5 } },
      volumeDefaults: { size: '256Mi' },
      terminationGracePeriodSeconds: 60,
    })
    await bench.untilReady(NAME)
  }

  async function sql(statement: string): Promise<string> {
    const psql = ['psql', '-XqtA', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', '-c', statement]
    return (await bench.exec(NAME, ...psql)).trim()
  }

  async function keep(word: string): Promise<void> {
    await sql(`INSERT INTO kept (word) VALUES ('${word}')`)
  }

  async function words(): Promise<readonly string[]> {
    return (await sql('SELECT word FROM kept ORDER BY id')).split('\n')
  }

  async function log(): Promise<string> {
    return await bench.kubectl('logs', `${NAME}-0`)
  }

  test('its folder is its own and closed to others', async () => {
    const { mode, uid } = await stat(path.join(await bench.folderOf(NAME, DATA), 'pgdata'))
    expect((mode & 0o7777).toString(8)).toBe('700')
    expect(uid).toBe(Number(await bench.exec(NAME, 'id', '-u')))
    expect(uid).not.toBe(0)
  })

  test('what was committed survives the pod', async () => {
    await bench.kubectl('delete', 'pod', `${NAME}-0`)
    await bench.untilReady(NAME)
    expect(await words()).toEqual(['first'])
    expect(await log()).not.toContain(UNCLEAN)
    await keep('second')
  })

  test('a new digest finds the same data, after a clean stop', async () => {
    await up(image.replace(/:15$/, ':15-next'))
    expect(await words()).toEqual(['first', 'second'])
    expect(await log()).not.toContain(UNCLEAN)
    await keep('third')
  })

  test('the resource, deleted and applied again, finds it', async () => {
    await bench.deleteApp(NAME)
    await up(image)
    expect(await words()).toEqual(['first', 'second', 'third'])
    expect(await log()).not.toContain(UNCLEAN)
  })

  test('libraries are loaded from their volume: the shipped one and one that was added', async () => {
    // The folder is root's in the image, so an operator puts the second one there.
    const added = await bench.exec(NAME, 'base64', '/usr/lib/postgresql/15/lib/passwordcheck.so')
    const extensions = await bench.folderOf(NAME, '/ext')
    await writeFile(path.join(extensions, 'passwordcheck.so'), Buffer.from(added, 'base64'), { mode: 0o755 })
    for (const library of ['auto_explain', 'passwordcheck'])
      expect(await sql(`LOAD '/ext/${library}.so'; SELECT 'loaded'`)).toBe('loaded')
  })

  test('a crash is recovered from: SIGKILL at once', async () => {
    await keep('fourth')
    await bench.kubectl('delete', 'pod', `${NAME}-0`, '--grace-period=0', '--force')
    await bench.untilReady(NAME)
    expect((await words()).at(-1)).toBe('fourth')
  })
})

/** The controller's image as the Dockerfile makes it: who it runs as, what it holds, and that it runs on its bases alone. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { controllerImage } from '../../scripts/lib/controller-image.ts'
import { mustRun, run } from '../../scripts/lib/run.ts'
import { isMissing } from '../support/programs.ts'

const FAIRLEAD = path.join(import.meta.dirname, '../../bin/fairlead')
const BUILD_MS = 600_000

interface RuntimeSpec {
  process: { args: string[]; terminal: boolean; user: { uid: number; gid: number } }
  root: { readonly: boolean }
}

describe.skipIf(['buildah', 'skopeo', 'mmdebstrap', 'runc'].some(isMissing))("the controller's image", () => {
  let bundle = ''
  let reference: string

  beforeAll(async () => {
    const image = await controllerImage()
    reference = `oci:${image.layout}:${image.tag}`
    bundle = await mkdtemp(path.join(tmpdir(), 'fairlead-image-test-'))
    await mustRun(FAIRLEAD, ['unpack', reference, bundle, '--bundle'])
  }, BUILD_MS)

  afterAll(async () => {
    if (bundle !== '') await rm(bundle, { recursive: true, force: true })
  })

  /** As the Deployment runs it: not root, nothing to write to. */
  async function runIn(args: readonly string[]) {
    const file = path.join(bundle, 'config.json')
    const spec = JSON.parse(await readFile(file, 'utf8')) as RuntimeSpec
    const isOurs = spec.process.args.findIndex((word) => word.endsWith('/main.js'))
    spec.process.args = [...spec.process.args.slice(0, isOurs + 1), ...args]
    spec.root.readonly = true
    await writeFile(file, JSON.stringify(spec))
    return { ...(await run('runc', ['run', '--bundle', bundle, path.basename(bundle).toLowerCase()])), spec }
  }

  test('runs without root, by number, on a read-only root', async () => {
    const { code, stdout, spec } = await runIn(['version'])
    expect([code, spec.process.user]).toEqual([0, expect.objectContaining({ uid: 65_532, gid: 65_532 })])
    expect(stdout).toMatch(/^fairlead +\d+\.\d+\.\d+\nnode +v24\./)
  })

  test('has every module that the cluster side imports', async () => {
    // All is imported before the kubeconfig is looked for, and that one ends it.
    const nowhere = ['--engine=kubernetes', '--preflight-image=x/y:1', '--kubeconfig=/missing']
    const { code, stderr } = await runIn(['controller', ...nowhere])
    expect(code).not.toBe(0)
    expect(stderr).toContain('/missing')
    expect(stderr).not.toMatch(/Cannot find (module|package)|ERR_MODULE_NOT_FOUND|InternalError/)
  })

  test('holds nothing that is only needed to build', () => {
    const inside = (name: string) => existsSync(path.join(bundle, 'rootfs', name))
    expect(inside('opt/fairlead/node_modules/zod')).toBe(true)
    const building = [
      'opt/fairlead/node_modules/typescript',
      'opt/fairlead/src',
      'usr/local/bin/npm',
      'build',
    ]
    expect(building.filter(inside)).toEqual([])
  })

  test('says no setting of npm, and no certificate of the machine that built it', async () => {
    const rootfs = path.join(bundle, 'rootfs')
    expect(existsSync(path.join(rootfs, 'root/.npmrc'))).toBe(false)
    const certificates = await readFile(path.join(rootfs, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')
    expect(certificates.split('BEGIN CERTIFICATE').length - 1).toBeGreaterThan(100)
    expect((await stat(path.join(rootfs, 'opt/fairlead/bin/node'))).mode & 0o777).toBe(0o755)
  })
})

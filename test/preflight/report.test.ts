/** A report always fits, is JSON, and never leaves out what happened to a volume as long as that fits. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeReport, MAX_REPORT_BYTES } from '../../src/preflight/report.ts'
import type { PreflightReport } from '../../src/reconcile/kubernetes/preflight-task.ts'

const decode = (text: string) => JSON.parse(text) as PreflightReport

test('what fits stays as it is', () => {
  const report: PreflightReport = {
    version: 1,
    volumes: ['cx', '-n'],
    error: { reason: 'VolumeNotExecutable', message: 'no', path: '/data' },
    note: 'not kept',
  }
  expect(decode(encodeReport(report))).toEqual(report)
})

describe('what does not fit', () => {
  test.each([
    ['long sentences', 'a'.repeat(2000), '/data'],
    ['characters of four bytes', '\u{1f600}'.repeat(600), '/data'],
    ['what JSON writes as six characters', '\u0001'.repeat(900), '/data'],
    ['a long path', 'no', `/${'p'.repeat(3000)}`],
  ])('%s: reason and volumes stay', (_title, message, path) => {
    const text = encodeReport({
      version: 1,
      volumes: ['cx', '-?'],
      error: { reason: 'SeedFailed', message, path },
      note: message,
    })
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_REPORT_BYTES)
    expect(decode(text)).toMatchObject({ volumes: ['cx', '-?'], error: { reason: 'SeedFailed' } })
  })

  test('a path that fits is kept whole beside a long sentence', () => {
    const text = encodeReport({
      version: 1,
      volumes: ['-?'],
      error: { reason: 'SeedFailed', message: 'a'.repeat(3000), path: '/mattermost/client/plugins' },
    })
    expect(decode(text).error?.path).toBe('/mattermost/client/plugins')
  })

  test('a hundred volumes with an error still tell both', () => {
    const volumes = Array.from({ length: 100 }, () => 'cx')
    const report = {
      version: 1,
      volumes,
      error: { reason: 'DiskFull', message: 'm'.repeat(900), path: '/data' },
    } as const
    expect(decode(encodeReport(report))).toMatchObject({ volumes, error: { reason: 'DiskFull' } })
  })

  test('more volumes than fit are an error of ours', () => {
    const text = encodeReport({ version: 1, volumes: Array.from({ length: 500 }, () => 'cx') })
    expect(decode(text)).toMatchObject({ volumes: [], error: { reason: 'InternalError' } })
  })

  test('whatever it is', () => {
    const any = fc.string({ unit: 'binary', maxLength: 1500 })
    fc.assert(
      fc.property(any, any, any, fc.nat(150), (message, path, note, count) => {
        const volumes = Array.from({ length: count }, () => 'cx')
        const text = encodeReport({
          version: 1,
          volumes,
          error: { reason: 'SeedFailed', message, path },
          note,
        })
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_REPORT_BYTES)
        expect(decode(text)).toMatchObject({ volumes, error: { reason: 'SeedFailed' } })
      }),
    )
  })
})

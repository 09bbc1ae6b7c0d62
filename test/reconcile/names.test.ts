import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  appFileName,
  appId,
  claimName,
  instanceId,
  parseAppKey,
  volumePathHash,
} from '../../src/reconcile/names.ts'

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/)
const path = fc
  .array(fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' }), { minLength: 1, maxLength: 5 })
  .map((names) => `/${names.map((name) => name.replaceAll('/', '_')).join('/')}`)

describe('claimName', () => {
  test.each([
    ['mattermost', '/mattermost/plugins', 'mattermost-mattermost-plugins-'],
    ['a', '/data', 'a-data-'],
    ['a', '/Daten/Über uns', 'a-daten-ber-uns-'],
    ['a', '/[data,', 'a-data-'],
    ['a', '/…', 'a-'],
  ])('%s %s begins with words for people', (name, volume, start) => {
    expect(claimName(name, volume)).toMatch(new RegExp(`^${start}[0-9a-f]{8}$`))
  })

  test('stays the same for ever: stored volumes are found by it', () => {
    expect(claimName('mattermost', '/mattermost/data')).toBe('mattermost-mattermost-data-3d26fa89')
    expect(volumePathHash('/mattermost/data')).toBe('fdaf16714997c6de')
  })

  test('is a DNS label of at most 63 characters, whatever the path', () => {
    fc.assert(
      fc.property(label, path, (name, volume) => {
        expect(claimName(name, volume)).toMatch(DNS_LABEL)
      }),
    )
  })

  test('differs where app or path differ', () => {
    fc.assert(
      fc.property(label, path, label, path, (name, volume, otherName, otherVolume) => {
        fc.pre(name !== otherName || volume !== otherVolume)
        expect(claimName(name, volume)).not.toBe(claimName(otherName, otherVolume))
      }),
    )
  })

  test.each([
    ['a', '/b/c', 'a', '/b-c'],
    ['a', '/b/c', 'a-b', '/c'],
    ['a', '/B', 'a', '/b'],
    ['a', `/${'x'.repeat(100)}1`, 'a', `/${'x'.repeat(100)}2`],
  ])('tells %s %s from %s %s', (name, volume, otherName, otherVolume) => {
    expect(claimName(name, volume)).not.toBe(claimName(otherName, otherVolume))
  })
})

describe('appFileName and instanceId', () => {
  test('differ where namespace, name or revision differ', () => {
    fc.assert(
      fc.property(label, label, label, label, (namespace, name, otherNamespace, otherName) => {
        fc.pre(namespace !== otherNamespace || name !== otherName)
        expect(appFileName({ namespace, name })).not.toBe(
          appFileName({ namespace: otherNamespace, name: otherName }),
        )
      }),
    )
  })

  test('are file names and container ids that runc and crun take', () => {
    fc.assert(
      fc.property(label, label, (namespace, name) => {
        const id = instanceId({ namespace, name }, '0123456789')
        expect(id).toMatch(/^[A-Za-z0-9_+.-]{1,255}$/)
      }),
    )
  })
})

describe('parseAppKey', () => {
  test.each([
    ['web', { namespace: 'default', name: 'web' }],
    ['chat/web', { namespace: 'chat', name: 'web' }],
    ['0a/b-1', { namespace: '0a', name: 'b-1' }],
    ['', undefined],
    ['/', undefined],
    ['a/', undefined],
    ['/a', undefined],
    ['a/b/c', undefined],
    ['Web', undefined],
    ['we_b', undefined],
    ['-web', undefined],
    ['web-', undefined],
    ['../web', undefined],
    ['..', undefined],
    ['a\n', undefined],
    ['x'.repeat(63), { namespace: 'default', name: 'x'.repeat(63) }],
    ['x'.repeat(64), undefined],
  ])('%j is %j', (text, key) => {
    expect(parseAppKey(text)).toEqual(key)
  })

  test('reads back every id', () => {
    fc.assert(
      fc.property(label, label, (namespace, name) => {
        expect(parseAppKey(appId({ namespace, name }))).toEqual({ namespace, name })
      }),
    )
  })
})

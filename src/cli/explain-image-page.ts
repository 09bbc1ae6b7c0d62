/** The answer of `explain` for people: one line a step, under the host that it happened at. Pure. */
import { assertNever, printable } from '../errors.ts'
import type { Step } from '../registry/steps.ts'
import type { ExplainedImage, ExplainedResult, RegistryState } from './explain-image.ts'
import { fieldLines } from './fields.ts'
import type { Paint } from './styles.ts'
import { sentenceLines } from './output.ts'
import { wrapText } from './table.ts'

const INDENT = '  '

export function explainImagePage(images: readonly ExplainedImage[], width: number, paint: Paint): string {
  return images.map((image) => onePage(image, width, paint)).join('\n')
}

function onePage(image: ExplainedImage, width: number, paint: Paint): string {
  const head = fieldLines(
    {
      App: printable(image.app ?? ''),
      Image: printable(image.reference, 500),
      Name: printable(image.canonical, 500),
    },
    width,
  )
  const steps = stepsBeforeResult(image).flatMap((step) => stepLines(step, width, paint))
  const states = image.registries
    .map(stateWords)
    .filter((words) => words !== '')
    .flatMap((words) => indented(words, width))
  return [
    head,
    ...(steps.length === 0 ? [] : ['\n', ...lines(steps)]),
    ...(states.length === 0 ? [] : ['\nRegistries\n', ...lines(states)]),
    '\n',
    resultLines(image.result, width, paint),
  ].join('')
}

/**
 * The last failure is the result, which is told at the end with all that belongs to it: also where a question for the
 * tags came after it. A request without an answer keeps it, since nothing else says what became of it.
 */
function stepsBeforeResult({ steps, result }: ExplainedImage): readonly Step[] {
  const at = steps.findLastIndex(
    (step) =>
      step.kind === 'failure' &&
      'reason' in result &&
      step.reason === result.reason &&
      result.message.startsWith(step.message),
  )
  const before = steps
    .slice(0, Math.max(at, 0))
    .findLast(({ kind }) => kind === 'request' || kind === 'answer')
  return at === -1 || before?.kind === 'request' ? steps : steps.toSpliced(at, 1)
}

function lines(texts: readonly string[]): readonly string[] {
  return texts.map((text) => `${text}\n`)
}

function stepLines(step: Step, width: number, paint: Paint): readonly string[] {
  if (step.kind === 'host') {
    return [
      paint('bold', `${step.mirror ? 'Mirror' : 'Registry'} ${step.host}`),
      ...indented(step.url, width),
    ]
  }
  const painted =
    step.kind === 'failure' || step.kind === 'pull-secret'
      ? 'bad'
      : step.kind === 'warning'
        ? 'warn'
        : undefined
  const texts = indented(stepWords(step), width)
  return painted === undefined ? texts : texts.map((text) => paint(painted, text))
}

function stepWords(step: Exclude<Step, { readonly kind: 'host' }>): string {
  switch (step.kind) {
    case 'pull-secret':
      return `${step.reason}: ${step.message}; a controller stops here, and what follows is how it goes without that Secret`
    case 'credentials':
      return credentialWords(step.names, step.problems)
    case 'proxy':
      return `through the proxy ${step.proxy}`
    case 'connection':
      return connectionWords(step)
    case 'request':
      return `${step.method} ${step.url} ${loginWords(step.login, step.as)}`
    case 'answer':
      return `answered ${step.status}`
    case 'redirect':
      return `sends us to ${step.to}, ${step.keepsLogin ? 'the same host' : 'another host: without credentials'}`
    case 'challenge':
      return step.realm === undefined ? 'wants a password (Basic)' : `wants a token of ${step.realm}`
    case 'token':
      return `${step.cached ? 'has still a' : 'got a'} token for ${step.name === 'nobody' ? 'nobody' : step.name}`
    case 'wait':
      return `waits ${durationWords(step.ms)} ${step.why}`
    case 'quota':
      return `says that ${quotaWords(step)} may still be asked${step.windowSeconds === undefined ? '' : ` in ${step.windowSeconds} s`}`
    case 'warning':
      return `warns: ${step.text}`
    case 'failure':
      return `${step.reason}: ${step.message}`
    default:
      return assertNever(step)
  }
}

function credentialWords(names: readonly string[], problems: readonly string[]): string {
  const trouble = problems.length === 0 ? '' : `; ${problems.join('; ')}`
  if (names.length === 0) return `no credentials are known${trouble}`
  return `credentials, in this order, once it asks for some: ${names.join(', then ')}; where it gives tokens, at last one for nobody${trouble}`
}

/** The first pauses are shorter than a tenth of a second. */
function durationWords(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`
}

function connectionWords({ address, network, tls }: Extract<Step, { readonly kind: 'connection' }>): string {
  const where = address === '' ? 'is reached through the proxy' : `is ${address} (${network} network)`
  return `${where}, ${tls === undefined ? 'not encrypted' : `encrypted with ${tls}`}`
}

function loginWords(login: string, as: string | undefined): string {
  if (login === 'none') return 'without credentials'
  const how = login === 'bearer' ? 'with a token' : 'with a password'
  return as === undefined ? `${how} of nobody` : `${how} of ${as}`
}

function quotaWords({ remaining, limit }: { readonly remaining: number; readonly limit?: number }): string {
  return limit === undefined ? String(remaining) : `${remaining} of ${limit}`
}

/** Pauses are left out: they end with this command, a controller has its own. */
function stateWords(state: RegistryState): string {
  const { origin, remaining, limit, problem } = state
  const parts = [
    remaining === undefined
      ? ''
      : `${quotaWords({ remaining, ...(limit === undefined ? {} : { limit }) })} left`,
    problem === undefined ? '' : 'does not answer',
  ]
  const words = parts.filter((part) => part !== '').join(', ')
  return words === '' ? '' : `${printable(origin)}: ${words}`
}

function resultLines(result: ExplainedResult, width: number, paint: Paint): string {
  if ('reason' in result)
    return sentenceLines(`${result.reason}: ${printable(result.message, 4000)}`, width)
      .map((line) => `${paint('bad', line)}\n`)
      .join('')
  const { source } = result
  return fieldLines(
    {
      Digest: result.digest,
      Platform: printable(result.platform),
      Manifest: result.manifestDigest === result.digest ? '' : result.manifestDigest,
      Source:
        source.kind === 'registry'
          ? `${source.mirror ? 'mirror' : 'registry'} ${printable(source.host)}`
          : printable(source.realPath, 500),
    },
    width,
  )
}

function indented(text: string, width: number): readonly string[] {
  return wrapText(printable(text, 4000), width - INDENT.length).map((line) => `${INDENT}${line}`)
}

/** An explanation for people. Pure. */
import { ageOf } from '../ages.ts'
import type { Paint } from '../styles.ts'
import { cutText, renderTable, wrapText, type Cell, type Column } from '../table.ts'
import { claimSize } from '../volume-view.ts'
import type { AppEventRow } from './app-events.ts'
import type { Explanation, Finding, PodFacts, VolumeFacts } from './explanation.ts'
import { CLUSTER_WORDS } from './page-words.ts'
import { sharesClaim } from './volume-row.ts'

const INDENT = '  '
const UNSEEN = `${CLUSTER_WORDS.unseen.charAt(0).toUpperCase()}${CLUSTER_WORDS.unseen.slice(1)}`

export function explainPage(explanation: Explanation, nowMs: number, width: number, paint: Paint): string {
  const { namespace, name, state, seen, upToDate, image, running, pods, volumes, findings, events } =
    explanation
  const style = findings.length === 0 ? 'good' : 'warn'
  const head = `${paint('bold', cutText(`${namespace}/${name}`, width - 30, 'middle'))}  ${paint(style, state)}\n`
  const late = upToDate ? [] : [seen ? 'The controller has not looked at the newest edit yet.' : UNSEEN]
  const sections = [
    section('Why this image', paragraphs([...image.sentences, ...late], width), paint),
    section('What runs', `${paragraphs(running, width)}${indented(podsTable(pods, width, paint))}`, paint),
    section('Volumes', indented(volumesTable(volumes, width, paint)), paint),
    section('What to look at', findings.map((one) => findingLines(one, width, paint)).join(''), paint),
    section('Events', eventLines(events, nowMs, width, paint), paint),
  ]
  return `${head}${sections.join('')}`
}

function section(title: string, body: string, paint: Paint): string {
  return body === '' ? '' : `\n${paint('bold', title)}\n${body}`
}

/** Each sentence begins a line of its own. */
function paragraphs(sentences: readonly string[], width: number): string {
  return sentences.map((sentence) => wrapped(sentence, INDENT, width)).join('')
}

function wrapped(text: string, before: string, width: number): string {
  return wrapText(text, width - before.length)
    .map((line) => `${before}${line}\n`)
    .join('')
}

function indented(table: string): string {
  return table.replaceAll(/^(?=.)/gm, INDENT)
}

const POD_COLUMNS: readonly Column[] = [
  { title: 'POD', cut: 'never' },
  { title: 'NODE', cut: 'middle' },
  { title: 'READY' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'REVISION' },
  { title: 'DIGEST' },
  { title: 'STATE' },
]

function podsTable(pods: readonly PodFacts[], width: number, paint: Paint): string {
  const rows = pods.map(({ name, node = '-', ready, restarts, revision, digest, state }): readonly Cell[] => [
    name,
    node,
    ready ? 'yes' : 'no',
    String(restarts),
    revision,
    shortened(digest),
    ready ? state : { text: state, style: 'warn' },
  ])
  return renderTable(POD_COLUMNS, rows, width - INDENT.length, paint)
}

const VOLUME_COLUMNS: readonly Column[] = [
  { title: 'VOLUME', cut: 'never' },
  { title: 'SIZE', align: 'right' },
  { title: 'PHASE' },
  { title: 'SEEDED' },
  { title: 'EXEC' },
  { title: 'RETAIN', below: true },
  { title: 'CLAIM', cut: 'never', below: true },
]

function volumesTable(volumes: readonly VolumeFacts[], width: number, paint: Paint): string {
  const rows = volumes.map((volume): readonly Cell[] => [
    volume.path,
    claimSize(volume.capacityBytes, sharesClaim(volume, volumes)),
    volume.phase === 'Bound' ? volume.phase : { text: volume.phase, style: 'warn' },
    volume.seededFrom === undefined ? 'no' : shortened(volume.seededFrom),
    volume.exec === 'Denied' ? { text: volume.exec, style: 'warn' } : (volume.exec ?? '-'),
    volume.retain,
    volume.claimName,
  ])
  return renderTable(VOLUME_COLUMNS, rows, width - INDENT.length, paint)
}

/** The first digits of a digest; words such as `empty` as they are. */
function shortened(text: string | undefined): string {
  if (text === undefined) return '-'
  const hex = text.split(':')[1]
  return hex === undefined ? text : hex.slice(0, 12)
}

function findingLines({ about, reason, message, advice }: Finding, width: number, paint: Paint): string {
  const do_ = advice === undefined ? '' : wrapped(`Do: ${advice}`, `${INDENT}${INDENT}`, width)
  return `${INDENT}${paint('warn', `${about}: ${reason}`)}\n${wrapped(message, `${INDENT}${INDENT}`, width)}${do_}`
}

function eventLines(
  events: readonly AppEventRow[] | undefined,
  nowMs: number,
  width: number,
  paint: Paint,
): string {
  if (events === undefined) return `${INDENT}may not be read with these rights\n`
  return events
    .map(({ time, type, reason, about, note, count }) => {
      const times = count > 1 ? ` (${count} times)` : ''
      const head = `${ageOf(time, nowMs)} ago  ${about}: ${reason}${times}`
      return `${INDENT}${paint(type === 'Warning' ? 'warn' : 'dim', head)}\n${wrapped(note, `${INDENT}${INDENT}`, width)}`
    })
    .join('')
}

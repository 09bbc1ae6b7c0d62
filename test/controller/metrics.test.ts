import { describe, expect, test } from 'vitest'
import type { PassResult } from '../../src/controller/app-worker.ts'
import { Counter, Gauge, Histogram } from '../../src/controller/metric-families.ts'
import { ControllerMetrics } from '../../src/controller/metrics.ts'
import { KeyQueue } from '../../src/controller/queue.ts'

function linesOf(text: string, name: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

describe('the text format', () => {
  test('of a counter', () => {
    const counter = new Counter('things_total', 'Things\nof a \\ kind')
    counter.add({ a: '1' }, 0)
    counter.add({ a: 'quote " slash \\ line\nend' })
    counter.add({ a: 'quote " slash \\ line\nend' }, 2)
    expect(counter.text()).toBe(
      [
        '# HELP things_total Things\\nof a \\\\ kind',
        '# TYPE things_total counter',
        'things_total{a="1"} 0',
        'things_total{a="quote \\" slash \\\\ line\\nend"} 3',
        '',
      ].join('\n'),
    )
  })

  test('of a gauge, read when asked', () => {
    let value = 1
    const gauge = new Gauge('depth', 'Depth', () => [[{}, value]])
    value = 2.5
    expect(gauge.text()).toBe('# HELP depth Depth\n# TYPE depth gauge\ndepth 2.5\n')
  })

  test('of what has no sample: nothing', () => {
    expect(new Counter('things_total', 'Things').text()).toBe('')
    expect(new Gauge('depth', 'Depth', () => []).text()).toBe('')
  })

  test('of a histogram: each bucket counts what is in the ones below, bounds included', () => {
    const histogram = new Histogram('time_seconds', 'Time', { c: 'x' }, [0.1, 1])
    for (const value of [0.05, 0.1, 0.5, 1, 7]) histogram.observe(value)
    expect(histogram.text()).toBe(
      [
        '# HELP time_seconds Time',
        '# TYPE time_seconds histogram',
        'time_seconds_bucket{c="x",le="0.1"} 2',
        'time_seconds_bucket{c="x",le="1"} 4',
        'time_seconds_bucket{c="x",le="+Inf"} 5',
        'time_seconds_sum{c="x"} 8.65',
        'time_seconds_count{c="x"} 5',
        '',
      ].join('\n'),
    )
  })
})

test.each<[PassResult, string, number, number, number]>([
  ['success', 'success', 0, 0, 0],
  ['requeue', 'requeue_after', 0, 0, 0],
  ['error', 'error', 1, 0, 0],
  ['terminal', 'error', 1, 1, 0],
  ['bug', 'error', 1, 0, 1],
])('a pass that ends with %s counts as %s', (result, label, errors, terminal, panics) => {
  const metrics = new ControllerMetrics({ controller: 'c' })
  metrics.passed(result, 20)
  const text = metrics.text()
  const total = linesOf(text, 'controller_runtime_reconcile_total')
  expect(total.toSorted()).toEqual(
    ['error', 'requeue_after', 'success'].map(
      (one) => `controller_runtime_reconcile_total{controller="c",result="${one}"} ${one === label ? 1 : 0}`,
    ),
  )
  const counts = ['reconcile_errors', 'terminal_reconcile_errors', 'reconcile_panics'].flatMap((name) =>
    linesOf(text, `controller_runtime_${name}_total`).map((line) => Number(line.split(' ')[1])),
  )
  expect(counts).toEqual([errors, terminal, panics])
  expect(text).toContain('controller_runtime_reconcile_time_seconds_bucket{controller="c",le="0.01"} 0\n')
  expect(text).toContain('controller_runtime_reconcile_time_seconds_bucket{controller="c",le="0.025"} 1\n')
})

test('the queue is told as it is', async () => {
  const metrics = new ControllerMetrics({ controller: 'c' })
  const { promise, resolve } = Promise.withResolvers<void>()
  let elapsed = 0
  const queue = new KeyQueue({
    width: 1,
    now: () => 0,
    elapsed: () => elapsed,
    work: () => promise,
    observer: metrics.observer,
  })
  metrics.watchQueue(queue)
  queue.add('a', 'edit')
  await Promise.resolve()
  queue.add('b', 'resync')
  queue.add('c', 'resync')
  queue.retryAt('d', 1e9)
  elapsed = 3000
  const text = metrics.text()
  const labels = '{name="c",controller="c"}'
  for (const line of [
    'controller_runtime_max_concurrent_reconciles{controller="c"} 1',
    'controller_runtime_active_workers{controller="c"} 1',
    'workqueue_depth{name="c",controller="c",priority="edit"} 0',
    'workqueue_depth{name="c",controller="c",priority="resync"} 2',
    `workqueue_adds_total${labels} 3`,
    `workqueue_retries_total${labels} 1`,
    `workqueue_unfinished_work_seconds${labels} 3`,
    `workqueue_longest_running_processor_seconds${labels} 3`,
    `workqueue_queue_duration_seconds_count${labels} 1`,
  ])
    expect(text).toContain(`${line}\n`)
  resolve()
  await queue.stop()
  expect(metrics.text()).toContain(`workqueue_work_duration_seconds_sum${labels} 3\n`)
})

test('requests, watches, leadership and apps', () => {
  const metrics = new ControllerMetrics({
    controller: 'c',
    lease: 'fairlead',
    apps: () => ({ True: 7, False: 2, Unknown: 0 }),
    goneImages: () => 3,
  })
  metrics.askedForImage('gone')
  metrics.requested({ method: 'GET', host: '10.0.0.1:443', code: '200' })
  metrics.relisted('Pod')
  metrics.reconnected('Pod')
  metrics.reconnected('Pod')
  expect(metrics.text()).toContain('leader_election_master_status{name="fairlead"} 0\n')
  metrics.setLeads(true)
  const text = metrics.text()
  for (const line of [
    'rest_client_requests_total{code="200",method="GET",host="10.0.0.1:443"} 1',
    'fairlead_informer_relists_total{kind="Pod"} 1',
    'fairlead_informer_reconnects_total{kind="Pod"} 2',
    'leader_election_master_status{name="fairlead"} 1',
    'fairlead_apps{ready="True"} 7',
    'fairlead_apps{ready="Unknown"} 0',
    'fairlead_images_gone 3',
    'fairlead_image_presence_checks_total{result="gone"} 1',
    'fairlead_image_presence_checks_total{result="held"} 0',
  ])
    expect(text).toContain(`${line}\n`)
})

test('the process tells what it uses', () => {
  const text = new ControllerMetrics({ controller: 'c' }).text()
  const valueOf = (name: string) => Number(linesOf(text, name)[0]?.split(' ')[1])
  expect(valueOf('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  expect(valueOf('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(
    Math.abs(valueOf('process_start_time_seconds') - (Date.now() / 1000 - process.uptime())),
  ).toBeLessThan(5)
})

test('every line is one that Prometheus reads', () => {
  const sample = /^[a-zA-Z_:][\w:]*(\{([a-z_]+="([^"\\\n]|\\.)*",?)*\})? (NaN|[+-]Inf|-?[\d.]+(e[+-]?\d+)?)$/
  const comment = /^# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))$/
  const metrics = new ControllerMetrics({
    controller: 'with "quotes"',
    lease: 'l',
    apps: () => ({ True: 1, False: 0, Unknown: 0 }),
  })
  metrics.passed('success', 1e-7)
  const lines = metrics.text().split('\n')
  expect(lines.pop()).toBe('')
  expect(lines.filter((line) => !sample.test(line) && !comment.test(line))).toEqual([])
  const names = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2])
  expect(names).toEqual([...new Set(names)])
})

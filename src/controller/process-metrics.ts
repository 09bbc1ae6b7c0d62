/** What the process itself uses, under the names that every Prometheus client has. Read when asked. */
import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { Gauge, type Family } from './metric-families.ts'

/** Seconds since the epoch. */
const STARTED_AT_S = Math.floor(Date.now() / 1000 - process.uptime())

export function processFamilies(): readonly Family[] {
  return [
    gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss()),
    gauge('nodejs_heap_size_used_bytes', 'Heap in use', () => process.memoryUsage().heapUsed),
    gauge('process_start_time_seconds', 'When the process began', () => STARTED_AT_S),
    gauge('process_open_fds', 'Open file descriptors', openFiles),
    new Gauge('process_cpu_seconds_total', 'Processor time', () => [[{}, cpuSeconds()]], 'counter'),
    new Gauge('nodejs_eventloop_utilization', 'Share of time in which the event loop was busy', () => [
      [{}, performance.eventLoopUtilization().utilization],
    ]),
  ]
}

function gauge(name: string, help: string, read: () => number | undefined): Family {
  return new Gauge(name, help, () => {
    const value = read()
    return value === undefined ? [] : [[{}, value]]
  })
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** undefined where the system has no such folder. */
function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

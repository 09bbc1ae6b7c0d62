/** What the controller tells Prometheus about registries: only of hosts that resources or the configuration name. */
import { Gauge, type Family } from './metric-families.ts'

export interface RegistryReading {
  /** `docker.io`, as references name it; a mirror by its own host. */
  readonly host: string
  readonly remaining: number | undefined
  readonly limit: number | undefined
  /** Until anybody asks again; 0 when there is no pause. */
  readonly pauseMs: number
  /** Until what is not urgent is asked. */
  readonly backgroundPauseMs: number
  /** It, or some repository of it, does not answer and is left alone. */
  readonly isResting: boolean
}

export function registryFamilies(read: () => readonly RegistryReading[]): readonly Family[] {
  const gauge = (name: string, help: string, valueOf: (reading: RegistryReading) => number | undefined) =>
    new Gauge(`fairlead_registry_${name}`, help, () =>
      read().flatMap((reading) => {
        const value = valueOf(reading)
        return value === undefined ? [] : [[{ host: reading.host }, value] as const]
      }),
    )
  return [
    gauge('quota_remaining', 'Requests that the registry still lets through', ({ remaining }) => remaining),
    gauge('quota_limit', 'Requests that the registry lets through in its window', ({ limit }) => limit),
    gauge('pause_seconds', 'How long nobody asks the registry', ({ pauseMs }) => pauseMs / 1000),
    gauge(
      'background_pause_seconds',
      'How long nothing that is not urgent is asked',
      ({ backgroundPauseMs }) => backgroundPauseMs / 1000,
    ),
    gauge('resting', 'Whether the registry, or a repository of it, does not answer', ({ isResting }) =>
      isResting ? 1 : 0,
    ),
  ]
}

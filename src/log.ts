/**
 * One logger, made in main and passed down. Constant messages, variable keys (`app`, `image`, `digest`, `step`,
 * `object`, `durationMs`, `err`); silent while nothing changes. Secrets are redacted by path as a last line of defence.
 */
import pino from 'pino'

export type Logger = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'>

const REDACTED_KEYS = [
  'authorization',
  'password',
  'token',
  'auth',
  'identitytoken',
  'registrytoken',
  'data',
  'stringData',
]

/** JSON lines to `destination` (a file descriptor; 2 is stderr). */
export function createLogger(level: string, destination = 2): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: REDACTED_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: '[redacted]',
      },
    },
    pino.destination({ dest: destination, sync: true }),
  )
}

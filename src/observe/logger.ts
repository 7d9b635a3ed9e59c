import { createRequire } from 'node:module';
import type * as Pino from 'pino';

const load = createRequire(import.meta.url);

/** Writes structured log lines; a child carries fields of its own. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Field names whose values are never written, at any of the first three levels of nesting. */
const SECRET_FIELDS = [
  'password',
  'token',
  'authorization',
  'auth',
  'identityToken',
  'registryToken',
  'secret',
];

/**
 * Makes a logger that writes one JSON object a line.
 *
 * @param destination file descriptor; standard error when absent, because standard output is for answers
 */
export function createLogger(options: { level: LogLevel; name: string; destination?: number }): Logger {
  const paths = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);
  // Loaded by those who log: most commands do not.
  const { pino } = load('pino') as typeof Pino;
  const logger: Pino.Logger = pino(
    { level: options.level, name: options.name, redact: { paths, censor: '[redacted]' } },
    pino.destination({ dest: options.destination ?? 2, sync: true }),
  );
  return logger;
}

/** Swallows everything: for tests and for commands that tell their story otherwise. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

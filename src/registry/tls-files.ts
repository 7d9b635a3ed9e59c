import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '../base/coded-error.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../observe/logger.ts';
import type { TlsPair } from './http/registry-server.ts';

/** Where certificate and key are: given, or in files that are read again when they change. */
export type TlsSource = TlsPair | { readonly certFile: string; readonly keyFile: string };

/** How often files are looked at. Kubernetes and certbot exchange certificates weeks before they end. */
const LOOK_MS = 10_000;

/** Reads the pair. @throws the system's error when a file cannot be read */
export async function readTls(source: TlsSource): Promise<TlsPair> {
  if ('cert' in source) return source;
  const [cert, key] = await Promise.all([readFile(source.certFile), readFile(source.keyFile)]);
  return { cert, key };
}

/** Calls `replace` whenever the files have changed, until `signal` aborts. A pair that does not fit leaves the old one. */
export async function followTls(
  source: TlsSource,
  replace: (pair: TlsPair) => void,
  parts: { clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<void> {
  if ('cert' in source) return;
  const { clock, logger, signal } = parts;
  let seen = await versionOf(source);
  for (;;) {
    try {
      await clock.sleep(LOOK_MS, signal);
    } catch {
      // Nothing else wakes the sleeper but the end.
      return;
    }
    try {
      const version = await versionOf(source);
      if (version === seen) continue;
      replace(await readTls(source));
      seen = version;
      logger.info({ certFile: source.certFile }, 'certificate was replaced');
    } catch (error) {
      // Certificate and key are often written one after the other; the next look sees both.
      logger.warn({ certFile: source.certFile, reason: messageOf(error) }, 'certificate cannot be used yet');
    }
  }
}

async function versionOf(source: { certFile: string; keyFile: string }): Promise<string> {
  const facts = await Promise.all([stat(source.certFile), stat(source.keyFile)]);
  return facts.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(' ');
}

import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { JSONWebKeySet } from 'jose';

/** Largest key set read: a cluster has a handful of keys. */
const LIMIT_BYTES = 1024 * 1024;

/** Where the public keys of a token issuer are. */
export interface KeysSource {
  readonly file?: string;
  readonly url?: string;
  /** PEM that vouches for the certificate of the URL. */
  readonly ca?: string;
  /** File with a bearer token for the URL. */
  readonly tokenFile?: string;
}

/** Reads or fetches a JSON Web Key Set. @throws Error when it cannot be had or is none */
export async function fetchKeys(source: KeysSource, signal: AbortSignal): Promise<JSONWebKeySet> {
  const text =
    source.file === undefined ? await fetchText(source, signal) : await readFile(source.file, 'utf8');
  const value = JSON.parse(text) as Partial<JSONWebKeySet> | null;
  if (!Array.isArray(value?.keys)) {
    throw new Error(`Cannot read keys from "${source.file ?? source.url}": not a key set`);
  }
  return value as JSONWebKeySet;
}

async function fetchText(source: KeysSource, signal: AbortSignal): Promise<string> {
  const url = new URL(source.url ?? '');
  const token =
    source.tokenFile === undefined ? undefined : (await readFile(source.tokenFile, 'utf8')).trim();
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    // Not imported: an import of these modules loads all that they offer, 12 MB in a registry that asks for keys once an hour.
    const ca = source.ca === undefined ? {} : { ca: source.ca };
    const request =
      url.protocol === 'https:'
        ? process.getBuiltinModule('node:https').get(url, { headers, signal, ...ca }, resolve)
        : process.getBuiltinModule('node:http').get(url, { headers, signal }, resolve);
    request.on('error', reject);
  });
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw new Error(`Cannot fetch keys from "${url.origin}${url.pathname}": answered ${answer.statusCode}`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT_BYTES)
      throw new Error(`Cannot fetch keys from "${url.origin}${url.pathname}": too large`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { stringify } from 'yaml';
import type { StatusError } from '../kube/status.ts';
import type { AuditRecord } from './audit/auditor.ts';
import { compress, GZIP_FROM } from './_gzip.ts';
import { textOf } from './object-text.ts';
import type { PathAnswer } from './path-handlers.ts';
import type { Representation } from './negotiation.ts';

/** Clients read YAML 1.1, in which `on` and times mean more than text: such texts are quoted for them. */
const YAML = { version: '1.1', aliasDuplicateObjects: false, indentSeq: false, lineWidth: 0 } as const;

/** What Go reads as true. */
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

/** Writes finished answers to one HTTP response. */
export class HttpResponder {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #warnings: readonly string[];
  #audit: AuditRecord | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, warnings: readonly string[]) {
    this.#request = request;
    this.#response = response;
    this.#warnings = warnings;
  }

  /** Has the answer recorded, and the record finished when the answer is. */
  recordIn(audit: AuditRecord): void {
    this.#audit = audit;
    this.#response.setHeader('Audit-Id', audit.id);
    this.#response.once('close', () => audit.complete(this.#response.statusCode));
  }

  /** Sends an object in the encoding that the client asked for. */
  async object(code: number, value: object, representation: Representation): Promise<void> {
    this.#audit?.answered(code, value);
    const text =
      representation.encoding === 'yaml'
        ? stringify(sortedKeys(value), YAML)
        : jsonText(value, this.#indents());
    await this.#send(code, `application/${representation.encoding}`, Buffer.from(text), {});
  }

  /** Makes browsers take the answer for what it says it is: a refusal may quote what the client sent. */
  neverSniff(): void {
    this.#response.setHeader('X-Content-Type-Options', 'nosniff');
  }

  /** Sends JSON that is text already. */
  async json(text: string): Promise<void> {
    this.#audit?.answered(200, text);
    const sent = this.#indents() ? jsonText(JSON.parse(text) as object, true) : text;
    await this.#send(200, 'application/json', Buffer.from(sent), {});
  }

  async failure(error: StatusError, representation: Representation): Promise<void> {
    const { status } = error;
    const retry = status.details?.retryAfterSeconds;
    if (retry !== undefined && retry > 0) this.#response.setHeader('Retry-After', String(retry));
    await this.object(status.code, status, { encoding: representation.encoding });
  }

  async path(answer: PathAnswer): Promise<void> {
    const { body, code = 200, headers = {} } = answer;
    if (typeof body === 'string') {
      const text = { ...headers, 'X-Content-Type-Options': 'nosniff' };
      await this.#send(code, answer.contentType ?? 'text/plain; charset=utf-8', Buffer.from(body), text);
      return;
    }
    const indented = answer.indented ?? this.#indents();
    const bytes = body instanceof Uint8Array ? body : Buffer.from(jsonText(body, indented));
    await this.#send(code, answer.contentType ?? 'application/json', bytes, headers);
  }

  /** Sends the head of an answer that comes in pieces. */
  head(contentType: string): void {
    this.#common(contentType);
    this.#audit?.emit('ResponseStarted');
    this.#response.writeHead(200);
    this.#response.flushHeaders();
  }

  /** People at a command line or a browser get JSON that they can read, unless they say otherwise. */
  #indents(): boolean {
    const [, query = ''] = (this.#request.url ?? '').split('?', 2);
    const asked = new URLSearchParams(query).get('pretty') ?? '';
    if (asked !== '') return TRUE.has(asked);
    return /^(?:curl|Wget|Mozilla\/5\.0)/.test(this.#request.headers['user-agent'] ?? '');
  }

  #common(contentType: string): void {
    const response = this.#response;
    if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'no-cache, private');
    response.setHeader('Content-Type', contentType);
    const warnings = [...new Set(this.#warnings)].sort().map((text) => `299 - "${quoted(text)}"`);
    if (warnings.length > 0) response.setHeader('Warning', warnings);
  }

  async #send(
    code: number,
    contentType: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const response = this.#response;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    this.#common(contentType);
    let payload = bytes;
    const takesGzip = /\bgzip\b/.test(this.#request.headers['accept-encoding'] ?? '');
    if (takesGzip && bytes.length >= GZIP_FROM) {
      payload = await compress(bytes);
      response.setHeader('Content-Encoding', 'gzip');
      response.setHeader('Vary', 'Accept-Encoding');
    }
    response.setHeader('Content-Length', payload.length);
    // What is left of a refused body is not read, so the connection cannot be used again.
    if (!this.#request.complete) response.setHeader('Connection', 'close');
    response.writeHead(code);
    response.end(this.#request.method === 'HEAD' ? undefined : payload);
  }
}

/** One line, or indented text without an end of line. */
function jsonText(value: object, indented: boolean): string {
  return indented ? JSON.stringify(value, null, 2) : `${textOf(value)}\n`;
}

/** Escapes a warning as RFC 7234 wants it; control characters could end the header and are dropped. */
function quoted(text: string): string {
  return text
    .replaceAll(/[\u0000-\u001f\u007f]/g, '')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll(/[^\u0020-\u00ff]/g, '?');
}

/** The API prints YAML with sorted keys. */
function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortedKeys(inner)]));
}

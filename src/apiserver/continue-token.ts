import { badRequest } from '../kube/status.ts';
import type { ListPosition } from './stored-object.ts';

/** Where a list goes on: the revision of its first page, and the last object delivered. */
export interface ContinueToken {
  /** -1: go on from the newest state, which is what a client accepts by using the token of a 410 answer. */
  readonly revision: number;
  readonly after: ListPosition;
}

/** A token of a name and a namespace of full length is well below; more is not ours. */
const MAX_TOKEN = 4096;

/** Writes the opaque token. `namespaced` lists within one namespace leave it out. */
export function encodeContinue(token: ContinueToken, within: string | undefined): string {
  const { namespace, name } = token.after;
  const start = `${within === undefined && namespace !== '' ? `${namespace}/` : '/'}${name}\u0000`;
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start })).toString(
    'base64url',
  );
}

/** @throws StatusError 400 with the API's text */
export function decodeContinue(text: string, within: string | undefined): ContinueToken {
  const invalid = (why: string): Error =>
    badRequest(`invalid continue token: continue key is not valid: ${why}`);
  const fault = faultOf(text);
  if (text.length > MAX_TOKEN || fault !== undefined) {
    throw invalid(`illegal base64 data at input byte ${fault ?? MAX_TOKEN}`);
  }
  const json = Buffer.from(text, 'base64url').toString();
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    const first = /\S/u.exec(json)?.[0] ?? '';
    throw invalid(
      first === ''
        ? 'unexpected end of JSON input'
        : `invalid character '${first}' looking for beginning of value`,
    );
  }
  const fields = new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const revision: unknown = fields.get('rv');
  const start: unknown = fields.get('start');
  if (fields.get('v') !== 'meta.k8s.io/v1') {
    throw invalid(`server does not recognize this encoded version "${String(fields.get('v') ?? '')}"`);
  }
  if (revision === 0) throw invalid('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision)) {
    throw invalid('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  if (typeof start !== 'string' || start === '') {
    throw invalid('encoded start key empty (version meta.k8s.io/v1)');
  }
  const bare = start.endsWith('\u0000') ? start.slice(0, -1) : start;
  const slash = bare.indexOf('/');
  const namespace = within ?? (slash > 0 ? bare.slice(0, slash) : '');
  return { revision, after: { namespace, name: slash < 0 ? bare : bare.slice(slash + 1) } };
}

/** Returns where text stops being unpadded base64 for URLs: a foreign byte, or one that is left alone. */
function faultOf(text: string): number | undefined {
  const foreign = text.search(/[^\w-]/);
  if (foreign >= 0) return Buffer.byteLength(text.slice(0, foreign));
  return text.length % 4 === 1 ? text.length - 1 : undefined;
}

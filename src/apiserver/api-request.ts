/**
 * The grammar of API paths:
 *
 *     /api/v1                [/namespaces/NAMESPACE] /RESOURCE [/NAME [/SUBRESOURCE]]
 *     /apis/GROUP/VERSION    [/namespaces/NAMESPACE] /RESOURCE [/NAME [/SUBRESOURCE]]
 *
 * `/NAME/proxy/REST` is a request for REST of what runs behind the object.
 *
 * `watch/` before the rest makes a GET a watch, as the parameter `watch` does: the older form, for old clients.
 *
 * `namespaces/NAME` itself, `namespaces/NAME/status` and `namespaces/NAME/finalize` name the Namespace object.
 */

/** `''` is a method that rules have no word for, such as OPTIONS: only what is proxied knows such. */
export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection'
  | '';

export interface ResourceRequest {
  readonly type: 'resource';
  readonly method: string;
  readonly path: string;
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** `''` at cluster scope and for all namespaces. */
  readonly namespace: string;
  /** `''` when the path names a collection. */
  readonly name: string;
  readonly subresource: string;
  /** What comes after `proxy/`. */
  readonly proxyPath?: string;
  readonly query: URLSearchParams;
}

export interface NonResourceRequest {
  readonly type: 'path';
  readonly method: string;
  /** Lower-case method, as authorization rules name it. */
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

export type ApiRequest = ResourceRequest | NonResourceRequest;

/** Paths longer than this are refused: the longest legal one (names of 253 characters, three times) is far below. */
export const MAX_URL = 64 * 1024;

/** Reads the request line into a value; `undefined` when the path is not well-formed. */
export function parseApiRequest(method: string, url: string): ApiRequest | undefined {
  if (url.length > MAX_URL) return undefined;
  const mark = url.indexOf('?');
  const rawPath = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const parts: string[] = [];
  for (const part of rawPath.split('/')) {
    if (part === '') continue;
    const decoded = decode(part);
    if (decoded === undefined) return undefined;
    parts.push(decoded);
  }
  const path = `/${parts.join('/')}${rawPath.length > 1 && rawPath.endsWith('/') ? '/' : ''}`;
  const other: NonResourceRequest = { type: 'path', method, verb: method.toLowerCase(), path, query };

  let rest: string[];
  let group: string;
  let version: string | undefined;
  if (parts[0] === 'api' && parts.length > 2) {
    group = '';
    version = parts[1];
    rest = parts.slice(2);
  } else if (parts[0] === 'apis' && parts.length > 3) {
    group = parts[1] ?? '';
    version = parts[2];
    rest = parts.slice(3);
  } else return other;
  if (version === undefined) return other;

  const isOldWatch = rest[0] === 'watch' && rest.length > 1;
  if (isOldWatch) rest = rest.slice(1);

  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = rest[1] ?? '';
    const isNamespaceItself = rest.length === 2 || rest[2] === 'status' || rest[2] === 'finalize';
    if (!isNamespaceItself) rest = rest.slice(2);
  }
  const [resource = '', name = '', ...sub] = rest;
  const isProxy = sub[0] === 'proxy';
  const verb = isOldWatch ? 'watch' : verbOf(method, name, query);
  return {
    type: 'resource',
    method,
    path,
    verb,
    group,
    version,
    resource,
    namespace,
    name,
    subresource: isProxy ? 'proxy' : sub.join('/'),
    ...(sub.length > 1 && isProxy
      ? { proxyPath: `${sub.slice(1).join('/')}${path.endsWith('/') ? '/' : ''}` }
      : {}),
    query,
  };
}

function verbOf(method: string, name: string, query: URLSearchParams): Verb {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (name !== '') return 'get';
      return isTrue(query.get('watch')) ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      return '';
  }
}

/** Reads a boolean parameter as the API does: anything but `false` and `0` is true, absent is false. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function decode(part: string): string | undefined {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

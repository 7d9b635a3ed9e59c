import type { ResourceInfo, SubresourceInfo } from '../resources.ts';
import { CONNECT, DELETE, DELETE_MANY, LIST, LOG, WRITE } from './_parameters.ts';

export type Method = 'get' | 'put' | 'post' | 'delete' | 'options' | 'head' | 'patch';

/** One thing that can be done at one path. */
export interface ApiOperation {
  readonly method: Method;
  readonly id: string;
  readonly description: string;
  readonly action: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Query parameters that not every operation of the path has, from `parameterTypes`. */
  readonly parameters: readonly string[];
  readonly body?: 'object' | 'DeleteOptions' | 'Patch';
  readonly answer: 'object' | 'list' | 'Status' | 'WatchEvent' | 'text';
  /** Media types of the answer; those of objects when absent. */
  readonly media?: readonly string[];
  /** Success codes. */
  readonly codes: readonly number[];
}

/** One path with everything that can be done there. */
export interface ApiPath {
  readonly path: string;
  readonly pathParameters: readonly string[];
  /** Query parameters that every operation has. */
  readonly parameters: readonly string[];
  readonly operations: readonly ApiOperation[];
}

/** Media types of objects. */
export const OBJECT_MEDIA: readonly string[] = ['application/json', 'application/yaml'];
/** Media types of what can be watched too. */
const LIST_MEDIA: readonly string[] = [
  'application/json',
  'application/json;stream=watch',
  'application/yaml',
];
const LOG_MEDIA: readonly string[] = [...OBJECT_MEDIA, 'text/plain'];
const SESSION_MEDIA: readonly string[] = ['*/*'];

/** Methods that are passed on to what runs behind an object. */
const PASSED_ON: readonly Method[] = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];

/** Kinds whose deletion is answered with the object, not with a Status. */
const ANSWERS_DELETED: ReadonlySet<string> = new Set([
  'PersistentVolume',
  'PersistentVolumeClaim',
  'Pod',
  'PodTemplate',
  'ResourceQuota',
  'Service',
  'ServiceAccount',
  'StorageClass',
]);

/** Returns the parts of operation names for a group: `CoreV1`, `AppsV1`, `RbacAuthorizationV1`. */
export function groupName(group: string, version = ''): string {
  const base = group === '' ? 'core' : group.replace(/\.k8s\.io$/, '');
  return [...base.split('.'), version].map(capitalize).join('');
}

/** Returns the tag of a group's operations: `core_v1`, `rbacAuthorization_v1`. */
export function groupTag(group: string, version?: string): string {
  const [first = '', ...rest] = (group === '' ? 'core' : group.replace(/\.k8s\.io$/, '')).split('.');
  const name = [first, ...rest.map(capitalize)].join('');
  return version === undefined ? name : `${name}_${version}`;
}

/** Lists the paths of one resource with their operations. */
export function pathsOf(info: ResourceInfo): ApiPath[] {
  const base = info.group === '' ? `/api/${info.version}` : `/apis/${info.group}/${info.version}`;
  const scoped = info.namespaced ? '/namespaces/{namespace}' : '';
  const inScope = info.namespaced ? ['namespace'] : [];
  const noun = `${groupName(info.group, info.version)}${info.namespaced ? 'Namespaced' : ''}${info.kind}`;
  const collection = `${base}${scoped}/${info.resource}`;
  const object = `${collection}/{name}`;
  const named = ['name', ...inScope];
  const paths: ApiPath[] = [];
  if (info.namespaced && info.verbs.includes('list')) {
    const id = `list${groupName(info.group, info.version)}${info.kind}ForAllNamespaces`;
    paths.push(pathOf(`${base}/${info.resource}`, [], [list(info, id)]));
  }
  paths.push(pathOf(collection, inScope, collectionOperations(info, noun)));
  paths.push(pathOf(object, named, objectOperations(info, noun)));
  for (const sub of info.subresources) {
    paths.push(pathOf(`${object}/${sub.name}`, named, subOperations(info, sub, noun)));
    if (sub.name === 'proxy') {
      const operations = connectOperations(info, sub, noun, PASSED_ON, 'WithPath');
      paths.push(pathOf(`${object}/proxy/{path}`, [...named, 'path'], operations));
    }
  }
  if (info.verbs.includes('watch') && info.custom === undefined) {
    const watched = `${base}/watch${scoped}/${info.resource}`;
    if (info.namespaced) {
      const id = `watch${groupName(info.group, info.version)}${info.kind}ListForAllNamespaces`;
      paths.push(pathOf(`${base}/watch/${info.resource}`, [], [watch(info, id, 'watchlist')]));
    }
    paths.push(pathOf(watched, inScope, [watch(info, `watch${noun}List`, 'watchlist')]));
    paths.push(pathOf(`${watched}/{name}`, named, [watch(info, `watch${noun}`, 'watch')]));
  }
  return paths.filter(({ operations }) => operations.length > 0);
}

/** What all operations of a path take is said once, for the path. */
function pathOf(
  path: string,
  pathParameters: readonly string[],
  operations: readonly ApiOperation[],
): ApiPath {
  const taken = operations.map(({ action, parameters }) =>
    action === 'connect' ? parameters : [...parameters, 'pretty'],
  );
  const common = new Set((taken[0] ?? []).filter((name) => taken.every((names) => names.includes(name))));
  return {
    path,
    pathParameters,
    parameters: [...common].toSorted(),
    operations: operations.map((operation, index) => ({
      ...operation,
      parameters: (taken[index] ?? []).filter((name) => !common.has(name)).toSorted(),
    })),
  };
}

type Details = Partial<Pick<ApiOperation, 'parameters' | 'body' | 'answer' | 'codes' | 'media'>>;

function operation(
  kind: ApiOperation['kind'],
  method: Method,
  id: string,
  action: string,
  description: string,
  details: Details = {},
): ApiOperation {
  return {
    method,
    id,
    description,
    action,
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    parameters: [],
    answer: 'object',
    codes: [200],
    ...details,
  };
}

function list(info: ResourceInfo, id: string): ApiOperation {
  const details: Details = { parameters: LIST, answer: 'list', media: LIST_MEDIA };
  return operation(info, 'get', id, 'list', `Lists or watches objects of kind ${info.kind}.`, details);
}

function watch(info: ResourceInfo, id: string, action: 'watch' | 'watchlist'): ApiOperation {
  const what = action === 'watch' ? 'one object' : 'objects';
  const description = `Watches ${what} of kind ${info.kind}. Old form of a list with the parameter watch.`;
  const details: Details = { parameters: LIST, answer: 'WatchEvent', media: LIST_MEDIA };
  return operation(info, 'get', id, action, description, details);
}

function create(kind: ApiOperation['kind'], id: string, description: string): ApiOperation {
  return operation(kind, 'post', id, 'post', description, {
    parameters: WRITE,
    body: 'object',
    codes: [200, 201, 202],
  });
}

function collectionOperations(info: ResourceInfo, noun: string): ApiOperation[] {
  const operations: ApiOperation[] = [];
  if (info.verbs.includes('list')) operations.push(list(info, `list${noun}`));
  if (info.verbs.includes('create')) {
    operations.push(create(info, `create${noun}`, `Creates an object of kind ${info.kind}.`));
  }
  if (info.verbs.includes('deletecollection')) {
    const group = groupName(info.group, info.version);
    const id = `delete${group}Collection${noun.slice(group.length)}`;
    operations.push(
      operation(info, 'delete', id, 'deletecollection', `Deletes objects of kind ${info.kind}.`, {
        parameters: DELETE_MANY,
        body: 'DeleteOptions',
        answer: 'Status',
      }),
    );
  }
  return operations;
}

function objectOperations(info: ResourceInfo, noun: string): ApiOperation[] {
  const operations: ApiOperation[] = [];
  const object = `the named object of kind ${info.kind}`;
  if (info.verbs.includes('get')) {
    operations.push(operation(info, 'get', `read${noun}`, 'get', `Reads ${object}.`));
  }
  if (info.verbs.includes('update')) operations.push(replace(info, `replace${noun}`, `Replaces ${object}.`));
  if (info.verbs.includes('delete')) {
    operations.push(
      operation(info, 'delete', `delete${noun}`, 'delete', `Deletes ${object}.`, {
        parameters: DELETE,
        body: 'DeleteOptions',
        answer: info.custom === undefined && ANSWERS_DELETED.has(info.kind) ? 'object' : 'Status',
        codes: [200, 202],
      }),
    );
  }
  if (info.verbs.includes('patch'))
    operations.push(patch(info, `patch${noun}`, `Changes ${object} in part.`));
  return operations;
}

function replace(kind: ApiOperation['kind'], id: string, description: string): ApiOperation {
  return operation(kind, 'put', id, 'put', description, {
    parameters: WRITE,
    body: 'object',
    codes: [200, 201],
  });
}

function patch(kind: ApiOperation['kind'], id: string, description: string): ApiOperation {
  return operation(kind, 'patch', id, 'patch', description, {
    parameters: [...WRITE, 'force'],
    body: 'Patch',
    codes: [200, 201],
  });
}

function subOperations(info: ResourceInfo, sub: SubresourceInfo, noun: string): ApiOperation[] {
  const kind = { group: sub.group ?? info.group, version: sub.version ?? info.version, kind: sub.kind };
  const suffix = capitalize(sub.name);
  const part = `${sub.name} of the named object of kind ${info.kind}`;
  if (CONNECT.has(sub.kind)) {
    return connectOperations(info, sub, noun, sub.name === 'proxy' ? PASSED_ON : ['get', 'post']);
  }
  const operations: ApiOperation[] = [];
  if (sub.verbs.includes('get')) {
    const details: Details = sub.name === 'log' ? { parameters: LOG, answer: 'text', media: LOG_MEDIA } : {};
    operations.push(operation(kind, 'get', `read${noun}${suffix}`, 'get', `Reads ${part}.`, details));
  }
  if (sub.verbs.includes('create')) {
    operations.push(create(kind, `create${noun}${suffix}`, `Creates ${part}.`));
  }
  if (sub.verbs.includes('update')) {
    operations.push(replace(kind, `replace${noun}${suffix}`, `Replaces ${part}.`));
  }
  if (sub.verbs.includes('patch')) {
    operations.push(patch(kind, `patch${noun}${suffix}`, `Changes ${part} in part.`));
  }
  return operations;
}

function connectOperations(
  info: ResourceInfo,
  sub: SubresourceInfo,
  noun: string,
  methods: readonly Method[],
  ending = '',
): ApiOperation[] {
  const kind = { group: info.group, version: info.version, kind: sub.kind };
  const group = groupName(info.group, info.version);
  const name = `${noun.slice(group.length)}${capitalize(sub.name)}${ending}`;
  const details: Details = {
    parameters: CONNECT.get(sub.kind) ?? [],
    answer: 'text',
    media: SESSION_MEDIA,
  };
  return methods.map((method) => {
    const id = `connect${group}${capitalize(method)}${name}`;
    const description = `Opens ${sub.name} of the named object of kind ${info.kind}.`;
    return operation(kind, method, id, 'connect', description, details);
  });
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

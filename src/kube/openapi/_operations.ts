import type { ResourceInfo, SubresourceInfo } from '../resources.ts';

export type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';

/** One thing that can be done at one path. */
export interface ApiOperation {
  readonly method: Method;
  readonly id: string;
  readonly action: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Query parameters of its own, from `parameterTypes`. */
  readonly parameters: readonly string[];
  readonly body?: 'object' | 'DeleteOptions' | 'Patch';
  readonly answer: 'object' | 'list' | 'Status';
  /** Success codes. */
  readonly codes: readonly number[];
}

/** One path with everything that can be done there. */
export interface ApiPath {
  readonly path: string;
  readonly pathParameters: readonly string[];
  readonly operations: readonly ApiOperation[];
}

const WRITE = ['dryRun', 'fieldManager', 'fieldValidation'];
const LIST = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'timeoutSeconds',
  'watch',
];
const DELETE = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'];
const DELETE_MANY = [
  ...new Set([...LIST.filter((name) => name !== 'watch' && name !== 'allowWatchBookmarks'), ...DELETE]),
];
const LOG = [
  'container',
  'follow',
  'insecureSkipTLSVerifyBackend',
  'limitBytes',
  'previous',
  'sinceSeconds',
  'stream',
  'tailLines',
  'timestamps',
];
const CONNECT = ['command', 'container', 'ports', 'stderr', 'stdin', 'stdout', 'tty'];

/** What each query parameter holds and means. */
export const parameterTypes: ReadonlyMap<string, { readonly type: string; readonly description: string }> =
  new Map(
    (
      [
        ['pretty', 'string', 'Indent the answer when "true".'],
        ['dryRun', 'string', '"All" does everything but store the outcome.'],
        ['fieldManager', 'string', 'Name under which the changed fields are owned.'],
        ['fieldValidation', 'string', 'What happens to unknown and repeated fields: Ignore, Warn or Strict.'],
        ['force', 'boolean', 'Take over fields that other managers own. Only for apply.'],
        ['allowWatchBookmarks', 'boolean', 'Send BOOKMARK events with the newest resourceVersion.'],
        ['continue', 'string', 'Token of the last page, to get the next one.'],
        ['fieldSelector', 'string', 'Select by the values of fields.'],
        ['labelSelector', 'string', 'Select by labels.'],
        ['limit', 'integer', 'Most items in one answer.'],
        ['resourceVersion', 'string', 'How fresh the answer must be, or where a watch begins.'],
        ['resourceVersionMatch', 'string', 'How resourceVersion is meant: Exact or NotOlderThan.'],
        ['sendInitialEvents', 'boolean', 'Begin a watch with what exists.'],
        ['timeoutSeconds', 'integer', 'End of a list or watch, in seconds.'],
        ['watch', 'boolean', 'Stream changes instead of answering with a list.'],
        ['gracePeriodSeconds', 'integer', 'Time that the object gets to end, in seconds.'],
        ['orphanDependents', 'boolean', 'Old way to say propagationPolicy Orphan.'],
        ['propagationPolicy', 'string', 'What happens to dependents: Foreground, Background or Orphan.'],
        ['container', 'string', 'Container that is meant.'],
        ['follow', 'boolean', 'Go on as lines are written.'],
        ['insecureSkipTLSVerifyBackend', 'boolean', 'Do not check the certificate of the node.'],
        ['limitBytes', 'integer', 'Most bytes of the log.'],
        ['previous', 'boolean', 'Log of the container that ran before.'],
        ['sinceSeconds', 'integer', 'Only lines younger than this, in seconds.'],
        ['stream', 'string', 'Which output: All, Stdout or Stderr.'],
        ['tailLines', 'integer', 'Only so many lines from the end.'],
        ['timestamps', 'boolean', 'Begin each line with its time.'],
        ['command', 'string', 'Command to run.'],
        ['ports', 'integer', 'Ports to forward.'],
        ['stderr', 'boolean', 'Send error output.'],
        ['stdin', 'boolean', 'Take input.'],
        ['stdout', 'boolean', 'Send output.'],
        ['tty', 'boolean', 'Give the command a terminal.'],
      ] as const
    ).map(([name, type, description]) => [name, { type, description }]),
  );

/** Returns the parts of operation names for a group: `CoreV1`, `AppsV1`, `RbacAuthorizationV1`. */
export function groupName(group: string, version: string): string {
  const base = group === '' ? 'core' : group.replace(/\.k8s\.io$/, '');
  return [...base.split('.'), version].map(capitalize).join('');
}

/** Returns the tag of a group's operations: `core_v1`, `rbacAuthorization_v1`. */
export function groupTag(group: string, version: string): string {
  const [first = '', ...rest] = (group === '' ? 'core' : group.replace(/\.k8s\.io$/, '')).split('.');
  return `${[first, ...rest.map(capitalize)].join('')}_${version}`;
}

/** Lists the paths of one resource with their operations. */
export function pathsOf(info: ResourceInfo): ApiPath[] {
  const base = info.group === '' ? `/api/${info.version}` : `/apis/${info.group}/${info.version}`;
  const scope = info.namespaced ? `${base}/namespaces/{namespace}` : base;
  const inScope = info.namespaced ? ['namespace'] : [];
  const noun = `${groupName(info.group, info.version)}${info.namespaced ? 'Namespaced' : ''}${info.kind}`;
  const collection = collectionOperations(info, noun);
  const object = objectOperations(info, noun);
  const paths: ApiPath[] = [];
  if (info.namespaced && info.verbs.includes('list')) {
    const id = `list${groupName(info.group, info.version)}${info.kind}ForAllNamespaces`;
    paths.push({
      path: `${base}/${info.resource}`,
      pathParameters: [],
      operations: [operation(info, 'get', id, 'list', { parameters: LIST, answer: 'list' })],
    });
  }
  paths.push({ path: `${scope}/${info.resource}`, pathParameters: inScope, operations: collection });
  paths.push({
    path: `${scope}/${info.resource}/{name}`,
    pathParameters: ['name', ...inScope],
    operations: object,
  });
  for (const sub of info.subresources) {
    paths.push({
      path: `${scope}/${info.resource}/{name}/${sub.name}`,
      pathParameters: ['name', ...inScope],
      operations: subOperations(info, sub, noun),
    });
  }
  return paths.filter(({ operations }) => operations.length > 0);
}

interface Details {
  readonly parameters?: readonly string[];
  readonly body?: ApiOperation['body'];
  readonly answer?: ApiOperation['answer'];
  readonly codes?: readonly number[];
}

function operation(
  kind: ApiOperation['kind'],
  method: Method,
  id: string,
  action: string,
  details: Details = {},
): ApiOperation {
  return {
    method,
    id,
    action,
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    parameters: details.parameters ?? [],
    ...(details.body === undefined ? {} : { body: details.body }),
    answer: details.answer ?? 'object',
    codes: details.codes ?? [200],
  };
}

function collectionOperations(info: ResourceInfo, noun: string): ApiOperation[] {
  const operations: ApiOperation[] = [];
  if (info.verbs.includes('list')) {
    operations.push(operation(info, 'get', `list${noun}`, 'list', { parameters: LIST, answer: 'list' }));
  }
  if (info.verbs.includes('create')) {
    operations.push(
      operation(info, 'post', `create${noun}`, 'post', {
        parameters: WRITE,
        body: 'object',
        codes: [200, 201, 202],
      }),
    );
  }
  if (info.verbs.includes('deletecollection')) {
    const group = groupName(info.group, info.version);
    operations.push(
      operation(info, 'delete', `delete${group}Collection${noun.slice(group.length)}`, 'deletecollection', {
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
  if (info.verbs.includes('get')) operations.push(operation(info, 'get', `read${noun}`, 'get'));
  if (info.verbs.includes('update')) operations.push(replace(info, `replace${noun}`));
  if (info.verbs.includes('delete')) {
    operations.push(
      operation(info, 'delete', `delete${noun}`, 'delete', {
        parameters: DELETE,
        body: 'DeleteOptions',
        answer: 'Status',
        codes: [200, 202],
      }),
    );
  }
  if (info.verbs.includes('patch')) operations.push(patch(info, `patch${noun}`));
  return operations;
}

function replace(kind: ApiOperation['kind'], id: string): ApiOperation {
  return operation(kind, 'put', id, 'put', { parameters: WRITE, body: 'object', codes: [200, 201] });
}

function patch(kind: ApiOperation['kind'], id: string): ApiOperation {
  return operation(kind, 'patch', id, 'patch', {
    parameters: [...WRITE, 'force'],
    body: 'Patch',
    codes: [200, 201],
  });
}

function subOperations(info: ResourceInfo, sub: SubresourceInfo, noun: string): ApiOperation[] {
  const kind = { group: sub.group ?? info.group, version: sub.version ?? info.version, kind: sub.kind };
  const suffix = capitalize(sub.name === 'portforward' ? 'portforward' : sub.name);
  if (sub.kind.endsWith('Options')) {
    const group = groupName(info.group, info.version);
    const name = `${noun.slice(group.length)}${suffix}`;
    return (['get', 'post'] as const).map((method) =>
      operation(kind, method, `connect${group}${capitalize(method)}${name}`, 'connect', {
        parameters: CONNECT,
      }),
    );
  }
  const operations: ApiOperation[] = [];
  if (sub.verbs.includes('get')) {
    operations.push(
      operation(kind, 'get', `read${noun}${suffix}`, 'get', sub.name === 'log' ? { parameters: LOG } : {}),
    );
  }
  if (sub.verbs.includes('create')) {
    operations.push(
      operation(kind, 'post', `create${noun}${suffix}`, 'post', {
        parameters: WRITE,
        body: 'object',
        codes: [200, 201, 202],
      }),
    );
  }
  if (sub.verbs.includes('update')) operations.push(replace(kind, `replace${noun}${suffix}`));
  if (sub.verbs.includes('patch')) operations.push(patch(kind, `patch${noun}${suffix}`));
  return operations;
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Query parameters of what writes an object. */
export const WRITE: readonly string[] = ['dryRun', 'fieldManager', 'fieldValidation'];

/** Query parameters of lists and watches. */
export const LIST: readonly string[] = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'shardSelector',
  'timeoutSeconds',
  'watch',
];

/** Query parameters of what deletes one object. */
export const DELETE: readonly string[] = [
  'dryRun',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'orphanDependents',
  'propagationPolicy',
];

/** Query parameters of what deletes a collection. */
export const DELETE_MANY: readonly string[] = [
  ...LIST.filter((name) => name !== 'watch' && name !== 'allowWatchBookmarks'),
  ...DELETE,
];

/** Query parameters of a Pod's log. */
export const LOG: readonly string[] = [
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

const ATTACH: readonly string[] = ['container', 'stderr', 'stdin', 'stdout', 'tty'];

/** Query parameters of sessions and of what is passed on, by the kind that carries them. */
export const CONNECT: ReadonlyMap<string, readonly string[]> = new Map([
  ['PodAttachOptions', ATTACH],
  ['PodExecOptions', ['command', ...ATTACH]],
  ['PodPortForwardOptions', ['ports']],
  ['NodeProxyOptions', ['path']],
  ['PodProxyOptions', ['path']],
  ['ServiceProxyOptions', ['path']],
]);

/** What a parameter holds and means. */
export interface ParameterType {
  readonly type: 'string' | 'boolean' | 'integer';
  readonly description: string;
}

/** Each query parameter. */
export const parameterTypes: ReadonlyMap<string, ParameterType> = new Map(
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
      ['shardSelector', 'string', 'Part of the objects that one of several watchers wants. Not considered.'],
      ['timeoutSeconds', 'integer', 'End of a list or watch, in seconds.'],
      ['watch', 'boolean', 'Stream changes instead of answering with a list.'],
      ['gracePeriodSeconds', 'integer', 'Time that the object gets to end, in seconds.'],
      [
        'ignoreStoreReadErrorWithClusterBreakingPotential',
        'boolean',
        'Delete what cannot be read. Nothing here is stored in a form that could not be.',
      ],
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
      ['path', 'string', 'Path of the request that is passed on.'],
      ['stderr', 'boolean', 'Send error output.'],
      ['stdin', 'boolean', 'Take input.'],
      ['stdout', 'boolean', 'Send output.'],
      ['tty', 'boolean', 'Give the command a terminal.'],
    ] as const
  ).map(([name, type, description]) => [name, { type, description }]),
);

/** Says what a part of a path is. */
export function pathParameterDescription(name: string, kind: string): string {
  if (name === 'namespace') return 'Namespace of the object.';
  return name === 'path' ? 'Path of the request that is passed on.' : `Name of the ${kind}.`;
}

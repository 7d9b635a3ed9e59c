import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { humanDuration, parseTime } from '../time.ts';
import {
  ageOf,
  containerCells,
  labelsCell,
  nameOf,
  orNone,
  selectorCell,
  since,
  templateSpec,
  type Cell,
} from './_cells.ts';
import { summarizePod } from './pod-status.ts';

/** One column: name, type, whether only `-o wide` shows it, and what it holds. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
  readonly wide: boolean;
  readonly description: string;
}

/** How one kind is printed. */
export interface Printer {
  readonly columns: readonly Column[];
  readonly row: (object: JsonObject, now: number) => Cell[];
}

const text = (name: string, description: string): Column => ({
  name,
  type: 'string',
  wide: false,
  description,
});
const count = (name: string, description: string): Column => ({
  name,
  type: 'integer',
  wide: false,
  description,
});
const wide = (name: string, description: string): Column => ({
  name,
  type: 'string',
  wide: true,
  description,
});

const NAME = text('Name', 'Name of the object, unique among its kind in a namespace.');
const AGE = text('Age', 'Time since the object was created.');
const CONTAINERS = wide('Containers', 'Names of the containers in the template.');
const IMAGES = wide('Images', 'Images of the containers in the template.');
const SELECTOR = wide('Selector', 'Labels by which the object finds its Pods.');

const spec = (object: JsonObject): JsonObject => objectAt(object, 'spec') ?? {};
const status = (object: JsonObject): JsonObject => objectAt(object, 'status') ?? {};
const statusCount = (object: JsonObject, key: string): number => numberAt(status(object), key) ?? 0;
const wanted = (object: JsonObject): number => numberAt(spec(object), 'replicas') ?? 0;

const plain: Printer = {
  columns: [NAME, AGE],
  row: (object, now) => [nameOf(object), ageOf(object, now)],
};

/** For kinds without columns of their own: the creation time instead of an age. */
const generic: Printer = {
  columns: [NAME, text('Created At', 'When the object was created.')],
  row: (object) => [nameOf(object), stringAt(objectAt(object, 'metadata'), 'creationTimestamp')],
};

const pod: Printer = {
  columns: [
    NAME,
    text('Ready', 'Containers that are ready, of all.'),
    text('Status', 'What the Pod is doing, or why it is not.'),
    text('Restarts', 'How often containers were started again, and when last.'),
    AGE,
    wide('IP', 'Address of the Pod.'),
    wide('Node', 'Node that runs the Pod.'),
    wide('Nominated Node', 'Node that is being cleared for the Pod.'),
    wide('Readiness Gates', 'Conditions beyond the containers that must hold, of all.'),
  ],
  row: (object, now) => {
    const { ready, status: state, restarts } = summarizePod(object, now);
    const ip = stringAt(objectsAt(status(object), 'podIPs')[0], 'ip') || stringAt(status(object), 'podIP');
    return [
      nameOf(object),
      ready,
      state,
      restarts,
      ageOf(object, now),
      orNone(ip),
      orNone(stringAt(spec(object), 'nodeName')),
      orNone(stringAt(status(object), 'nominatedNodeName')),
      readinessGates(object),
    ];
  },
};

function readinessGates(object: JsonObject): string {
  const gates = objectsAt(spec(object), 'readinessGates');
  if (gates.length === 0) return '<none>';
  const conditions = objectsAt(status(object), 'conditions');
  const open = gates.filter((gate) =>
    conditions.some((entry) => entry['type'] === gate['conditionType'] && entry['status'] === 'True'),
  );
  return `${open.length}/${gates.length}`;
}

const replicas: Printer = {
  columns: [
    NAME,
    count('Desired', 'Pods that should be.'),
    count('Current', 'Pods that are.'),
    count('Ready', 'Pods that are ready.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row: (object, now) => [
    nameOf(object),
    wanted(object),
    statusCount(object, 'replicas'),
    statusCount(object, 'readyReplicas'),
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
    object['kind'] === 'ReplicationController'
      ? labelsCell(objectAt(spec(object), 'selector'))
      : selectorCell(objectAt(spec(object), 'selector')),
  ],
};

const deployment: Printer = {
  columns: [
    NAME,
    text('Ready', 'Pods that are ready, of those that should be.'),
    text('Up-to-date', 'Pods of the newest template.'),
    text('Available', 'Pods that have been ready long enough.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row: (object, now) => [
    nameOf(object),
    `${statusCount(object, 'readyReplicas')}/${wanted(object)}`,
    statusCount(object, 'updatedReplicas'),
    statusCount(object, 'availableReplicas'),
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
    selectorCell(objectAt(spec(object), 'selector')),
  ],
};

const statefulSet: Printer = {
  columns: [NAME, text('Ready', 'Pods that are ready, of those that should be.'), AGE, CONTAINERS, IMAGES],
  row: (object, now) => [
    nameOf(object),
    `${statusCount(object, 'readyReplicas')}/${wanted(object)}`,
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
  ],
};

const daemonSet: Printer = {
  columns: [
    NAME,
    count('Desired', 'Nodes that should run a Pod.'),
    count('Current', 'Nodes that run one.'),
    count('Ready', 'Nodes whose Pod is ready.'),
    count('Up-to-date', 'Nodes whose Pod is of the newest template.'),
    count('Available', 'Nodes whose Pod has been ready long enough.'),
    text('Node Selector', 'Labels of the nodes that are meant.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row: (object, now) => [
    nameOf(object),
    statusCount(object, 'desiredNumberScheduled'),
    statusCount(object, 'currentNumberScheduled'),
    statusCount(object, 'numberReady'),
    statusCount(object, 'updatedNumberScheduled'),
    statusCount(object, 'numberAvailable'),
    labelsCell(objectAt(templateSpec(object), 'nodeSelector')),
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
    selectorCell(objectAt(spec(object), 'selector')),
  ],
};

const job: Printer = {
  columns: [
    NAME,
    text('Status', 'How far the Job is.'),
    text('Completions', 'Pods that succeeded, of those that should.'),
    text('Duration', 'Time that the Job took, or has taken so far.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row: (object, now) => [
    nameOf(object),
    jobStatus(object),
    completions(object),
    jobDuration(object, now),
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
    selectorCell(objectAt(spec(object), 'selector')),
  ],
};

function jobStatus(object: JsonObject): string {
  const holds = (type: string): boolean =>
    objectsAt(status(object), 'conditions').some(
      (entry) => entry['type'] === type && entry['status'] === 'True',
    );
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (objectAt(object, 'metadata')?.['deletionTimestamp'] !== undefined) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  if (holds('FailureTarget')) return 'FailureTarget';
  if (holds('SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

function completions(object: JsonObject): string {
  const succeeded = statusCount(object, 'succeeded');
  const total = numberAt(spec(object), 'completions');
  if (total !== undefined) return `${succeeded}/${total}`;
  const parallel = numberAt(spec(object), 'parallelism') ?? 0;
  return parallel > 1 ? `${succeeded}/1 of ${parallel}` : `${succeeded}/1`;
}

function jobDuration(object: JsonObject, now: number): string {
  const start = parseTime(stringAt(status(object), 'startTime'));
  if (start === undefined) return '';
  return humanDuration((parseTime(stringAt(status(object), 'completionTime')) ?? now) - start);
}

const cronJob: Printer = {
  columns: [
    NAME,
    text('Schedule', 'When Jobs are made, in cron format.'),
    text('Timezone', 'Time zone of the schedule.'),
    { name: 'Suspend', type: 'boolean', wide: false, description: 'Whether no Jobs are made for now.' },
    count('Active', 'Jobs that run.'),
    text('Last Schedule', 'Time since a Job was last made.'),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
  ],
  row: (object, now) => {
    const last = status(object)['lastScheduleTime'];
    const jobSpec = objectAt(objectAt(spec(object), 'jobTemplate'), 'spec');
    return [
      nameOf(object),
      stringAt(spec(object), 'schedule'),
      orNone(stringAt(spec(object), 'timeZone')),
      spec(object)['suspend'] === true ? 'True' : 'False',
      objectsAt(status(object), 'active').length,
      last === undefined ? '<none>' : since(last, now),
      ageOf(object, now),
      ...containerCells(objectAt(objectAt(jobSpec, 'template'), 'spec')),
      selectorCell(objectAt(jobSpec, 'selector')),
    ];
  },
};

const secret: Printer = {
  columns: [NAME, text('Type', 'What the data is for.'), text('Data', 'Number of keys.'), AGE],
  row: (object, now) => [
    nameOf(object),
    stringAt(object, 'type'),
    Object.keys(stringMapAt(object, 'data')).length,
    ageOf(object, now),
  ],
};

const configMap: Printer = {
  columns: [NAME, text('Data', 'Number of keys.'), AGE],
  row: (object, now) => [
    nameOf(object),
    Object.keys(stringMapAt(object, 'data')).length + Object.keys(stringMapAt(object, 'binaryData')).length,
    ageOf(object, now),
  ],
};

const namespace: Printer = {
  columns: [NAME, text('Status', 'Whether the namespace is in use or going away.'), AGE],
  row: (object, now) => [nameOf(object), stringAt(status(object), 'phase'), ageOf(object, now)],
};

const ROLE = 'node-role.kubernetes.io/';

const node: Printer = {
  columns: [
    NAME,
    text('Status', 'Whether the node is ready and takes Pods.'),
    text('Roles', 'What the node is for.'),
    AGE,
    text('Version', 'Version of the kubelet.'),
    wide('Internal-IP', 'Address inside the cluster.'),
    wide('External-IP', 'Address outside.'),
    wide('OS-Image', 'Operating system.'),
    wide('Kernel-Version', 'Kernel.'),
    wide('Container-Runtime', 'Container runtime and version.'),
  ],
  row: (object, now) => {
    const info = objectAt(status(object), 'nodeInfo');
    const kernel = stringAt(info, 'kernelVersion');
    const architecture = stringAt(info, 'architecture');
    return [
      nameOf(object),
      nodeStatus(object),
      nodeRoles(object),
      ageOf(object, now),
      stringAt(info, 'kubeletVersion'),
      address(object, 'InternalIP'),
      address(object, 'ExternalIP'),
      stringAt(info, 'osImage') || '<unknown>',
      kernel === '' ? '<unknown>' : architecture === '' ? kernel : `${kernel} (${architecture})`,
      stringAt(info, 'containerRuntimeVersion') || '<unknown>',
    ];
  },
};

function nodeStatus(object: JsonObject): string {
  const ready = objectsAt(status(object), 'conditions').find((entry) => entry['type'] === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'];
  if (spec(object)['unschedulable'] === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(object: JsonObject): string {
  const roles = Object.entries(stringMapAt(objectAt(object, 'metadata'), 'labels')).flatMap(
    ([key, value]) => {
      if (key.startsWith(ROLE)) return key.length > ROLE.length ? [key.slice(ROLE.length)] : [];
      return key === 'kubernetes.io/role' && value !== '' ? [value] : [];
    },
  );
  return orNone([...new Set(roles)].toSorted().join(','));
}

function address(object: JsonObject, type: string): string {
  const found = objectsAt(status(object), 'addresses').find((entry) => entry['type'] === type);
  return orNone(stringAt(found, 'address'));
}

const event: Printer = {
  columns: [
    text('Last Seen', 'Time since it happened last.'),
    text('Type', 'Normal or Warning.'),
    text('Reason', 'Short word for what happened.'),
    text('Object', 'Object that it happened to.'),
    wide('Subobject', 'Part of the object.'),
    wide('Source', 'Who says so, and where.'),
    text('Message', 'What happened.'),
    wide('First Seen', 'Time since it happened first.'),
    wide('Count', 'How often it happened.'),
    { ...wide('Name', NAME.description) },
  ],
  row: (object, now) => {
    const subject = objectAt(object, 'involvedObject') ?? objectAt(object, 'regarding') ?? {};
    const series = objectAt(object, 'series');
    const first = firstTime(object);
    const last = series?.['lastObservedTime'] ?? object['lastTimestamp'] ?? object['deprecatedLastTimestamp'];
    const times =
      numberAt(series, 'count') ?? numberAt(object, 'count') ?? numberAt(object, 'deprecatedCount') ?? 0;
    return [
      typeof last === 'string' ? since(last, now) : first,
      stringAt(object, 'type'),
      stringAt(object, 'reason'),
      subjectName(subject),
      stringAt(subject, 'fieldPath'),
      eventSource(object),
      (stringAt(object, 'message') || stringAt(object, 'note')).trim(),
      first,
      times === 0 ? 1 : times,
      nameOf(object),
    ];

    function firstTime(from: JsonObject): string {
      const time = from['firstTimestamp'] ?? from['deprecatedFirstTimestamp'] ?? from['eventTime'];
      return since(time, now);
    }
  },
};

function subjectName(subject: JsonObject): string {
  const kind = stringAt(subject, 'kind').toLowerCase();
  const name = stringAt(subject, 'name');
  return name === '' ? kind : `${kind}/${name}`;
}

function eventSource(object: JsonObject): string {
  const source = objectAt(object, 'source') ?? objectAt(object, 'deprecatedSource');
  const component = stringAt(source, 'component');
  if (component !== '') return [component, stringAt(source, 'host')].filter((part) => part !== '').join(', ');
  const controller = stringAt(object, 'reportingComponent') || stringAt(object, 'reportingController');
  return [controller, stringAt(object, 'reportingInstance')].filter((part) => part !== '').join(', ');
}

const MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

const modes = (list: readonly string[]): string =>
  Object.keys(MODES)
    .filter((mode) => list.includes(mode))
    .map((mode) => MODES[mode])
    .join(',');

const claim: Printer = {
  columns: [
    NAME,
    text('Status', 'Whether a volume was found.'),
    text('Volume', 'Volume that was found.'),
    text('Capacity', 'Size of the volume.'),
    text('Access Modes', 'How the volume may be used.'),
    text('StorageClass', 'Class of the volume.'),
    text('VolumeAttributesClass', 'Class of the attributes of the volume.'),
    AGE,
    wide('VolumeMode', 'File system or raw device.'),
  ],
  row: (object, now) => {
    const bound = stringAt(spec(object), 'volumeName') !== '';
    const terminating = objectAt(object, 'metadata')?.['deletionTimestamp'] !== undefined;
    return [
      nameOf(object),
      terminating ? 'Terminating' : stringAt(status(object), 'phase'),
      stringAt(spec(object), 'volumeName'),
      bound ? stringAt(objectAt(status(object), 'capacity'), 'storage') : '',
      bound ? modes(stringsAt(status(object), 'accessModes')) : '',
      stringAt(spec(object), 'storageClassName'),
      stringAt(spec(object), 'volumeAttributesClassName') || '<unset>',
      ageOf(object, now),
      stringAt(spec(object), 'volumeMode') || '<unset>',
    ];
  },
};

const volume: Printer = {
  columns: [
    NAME,
    text('Capacity', 'Size of the volume.'),
    text('Access Modes', 'How the volume may be used.'),
    text('Reclaim Policy', 'What happens to the volume when its claim goes.'),
    text('Status', 'Whether the volume is claimed.'),
    text('Claim', 'Claim that has the volume.'),
    text('StorageClass', 'Class of the volume.'),
    text('VolumeAttributesClass', 'Class of the attributes of the volume.'),
    text('Reason', 'Why the volume is in its state.'),
    AGE,
    wide('VolumeMode', 'File system or raw device.'),
  ],
  row: (object, now) => {
    const claimRef = objectAt(spec(object), 'claimRef');
    const terminating = objectAt(object, 'metadata')?.['deletionTimestamp'] !== undefined;
    return [
      nameOf(object),
      stringAt(objectAt(spec(object), 'capacity'), 'storage'),
      modes(stringsAt(spec(object), 'accessModes')),
      stringAt(spec(object), 'persistentVolumeReclaimPolicy'),
      terminating ? 'Terminating' : stringAt(status(object), 'phase'),
      claimRef === undefined ? '' : `${stringAt(claimRef, 'namespace')}/${stringAt(claimRef, 'name')}`,
      stringAt(spec(object), 'storageClassName'),
      stringAt(spec(object), 'volumeAttributesClassName') || '<unset>',
      stringAt(status(object), 'reason'),
      ageOf(object, now),
      stringAt(spec(object), 'volumeMode') || '<unset>',
    ];
  },
};

const lease: Printer = {
  columns: [NAME, text('Holder', 'Who has the lease.'), AGE],
  row: (object, now) => [nameOf(object), stringAt(spec(object), 'holderIdentity'), ageOf(object, now)],
};

const binding: Printer = {
  columns: [
    NAME,
    text('Role', 'Role that is given.'),
    AGE,
    wide('Users', 'Users that get it.'),
    wide('Groups', 'Groups that get it.'),
    wide('ServiceAccounts', 'Service accounts that get it.'),
  ],
  row: (object, now) => {
    const ref = objectAt(object, 'roleRef');
    const subjects = objectsAt(object, 'subjects');
    const named = (kind: string): string =>
      subjects
        .filter((subject) => subject['kind'] === kind)
        .map((subject) => {
          const name = stringAt(subject, 'name');
          return kind === 'ServiceAccount' ? `${stringAt(subject, 'namespace')}/${name}` : name;
        })
        .join(', ');
    return [
      nameOf(object),
      `${stringAt(ref, 'kind')}/${stringAt(ref, 'name')}`,
      ageOf(object, now),
      named('User'),
      named('Group'),
      named('ServiceAccount'),
    ];
  },
};

const role: Printer = {
  columns: [NAME, text('Created At', 'When the object was created.')],
  row: generic.row,
};

const revision: Printer = {
  columns: [
    NAME,
    text('Controller', 'Workload that the revision is of.'),
    count('Revision', 'Number of the revision.'),
    AGE,
  ],
  row: (object, now) => {
    const owner = objectsAt(objectAt(object, 'metadata'), 'ownerReferences').find(
      (entry) => entry['controller'] === true,
    );
    const kind = stringAt(owner, 'kind').toLowerCase();
    const group = stringAt(owner, 'apiVersion').split('/')[0] ?? '';
    const controller = owner === undefined ? '<none>' : `${kind}.${group}/${stringAt(owner, 'name')}`;
    return [nameOf(object), controller, numberAt(object, 'revision') ?? 0, ageOf(object, now)];
  },
};

const printers: ReadonlyMap<string, Printer> = new Map([
  ['Pod', pod],
  ['ReplicationController', replicas],
  ['ReplicaSet', replicas],
  ['Deployment', deployment],
  ['StatefulSet', statefulSet],
  ['DaemonSet', daemonSet],
  ['Job', job],
  ['CronJob', cronJob],
  ['Secret', secret],
  ['ConfigMap', configMap],
  ['ServiceAccount', plain],
  ['Namespace', namespace],
  ['Node', node],
  ['Event', event],
  ['PersistentVolumeClaim', claim],
  ['PersistentVolume', volume],
  ['Lease', lease],
  ['RoleBinding', binding],
  ['ClusterRoleBinding', binding],
  ['Role', role],
  ['ClusterRole', role],
  ['ControllerRevision', revision],
]);

/** Returns how a kind is printed: name and creation time when it has no columns of its own. */
export function printerOf(kind: string): Printer {
  return printers.get(kind) ?? generic;
}

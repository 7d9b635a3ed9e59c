import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
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
} from './_cells.ts';
import {
  text,
  count,
  NAME,
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
  spec,
  status,
  statusCount,
  wanted,
  type Printer,
} from './_columns.ts';

export const replicas: Printer = {
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

export const scale: Printer = {
  columns: [NAME, count('Desired', 'Pods that should be.'), count('Available', 'Pods that are.'), AGE],
  row: (object, now) => [nameOf(object), wanted(object), statusCount(object, 'replicas'), ageOf(object, now)],
};

export const deployment: Printer = {
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

export const statefulSet: Printer = {
  columns: [NAME, text('Ready', 'Pods that are ready, of those that should be.'), AGE, CONTAINERS, IMAGES],
  row: (object, now) => [
    nameOf(object),
    `${statusCount(object, 'readyReplicas')}/${wanted(object)}`,
    ageOf(object, now),
    ...containerCells(templateSpec(object)),
  ],
};

export const daemonSet: Printer = {
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

export const job: Printer = {
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

export const cronJob: Printer = {
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

export const revision: Printer = {
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

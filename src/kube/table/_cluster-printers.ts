import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  type JsonObject,
} from '../json/json-object.ts';
import { ageOf, nameOf, orNone, since } from './_cells.ts';
import { text, wide, NAME, AGE, spec, status, type Printer } from './_columns.ts';

export const namespace: Printer = {
  columns: [NAME, text('Status', 'Whether the namespace is in use or going away.'), AGE],
  row: (object, now) => [nameOf(object), stringAt(status(object), 'phase'), ageOf(object, now)],
};

const ROLE = 'node-role.kubernetes.io/';

export const node: Printer = {
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

export const event: Printer = {
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

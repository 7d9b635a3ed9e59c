import { objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { ageOf, nameOf, orNone } from './_cells.ts';
import { text, wide, NAME, AGE, spec, status, type Printer } from './_columns.ts';
import { summarizePod } from './pod-status.ts';

export const pod: Printer = {
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

import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { humanDuration } from '../time.ts';
import { ageOf, nameOf, orNone } from './_cells.ts';
import { AGE, NAME, spec, status, text, type Printer } from './_columns.ts';

export const componentStatus: Printer = {
  columns: [
    NAME,
    text('Status', 'Whether the part works.'),
    text('Message', 'What it said.'),
    text('Error', 'Why it could not be asked.'),
  ],
  row: (object) => {
    const condition = objectsAt(object, 'conditions').find(({ type }) => type === 'Healthy');
    const verdict =
      condition === undefined ? 'Unknown' : condition['status'] === 'True' ? 'Healthy' : 'Unhealthy';
    return [nameOf(object), verdict, stringAt(condition, 'message'), stringAt(condition, 'error')];
  },
};

export const apiService: Printer = {
  columns: [
    NAME,
    text('Service', 'Who serves the version.'),
    text('Available', 'Whether it can be used.'),
    AGE,
  ],
  row: (object, now) => {
    const service = objectAt(spec(object), 'service');
    const where =
      service === undefined ? 'Local' : `${stringAt(service, 'namespace')}/${stringAt(service, 'name')}`;
    return [nameOf(object), where, availability(object), ageOf(object, now)];
  },
};

function availability(object: JsonObject): string {
  const condition = objectsAt(status(object), 'conditions').find(({ type }) => type === 'Available');
  if (condition === undefined) return '';
  const verdict = stringAt(condition, 'status');
  return verdict === 'True' ? verdict : `${verdict} (${stringAt(condition, 'reason')})`;
}

export const certificateRequest: Printer = {
  columns: [
    NAME,
    AGE,
    text('SignerName', 'The signer that is asked.'),
    text('Requestor', 'Who asked.'),
    text('RequestedDuration', 'How long the certificate should be valid.'),
    text('Condition', 'What was decided, and whether there is a certificate.'),
  ],
  row: (object, now) => {
    const seconds = numberAt(spec(object), 'expirationSeconds');
    return [
      nameOf(object),
      ageOf(object, now),
      orNone(stringAt(spec(object), 'signerName')),
      stringAt(spec(object), 'username'),
      seconds === undefined ? '<none>' : humanDuration(seconds * 1000),
      decision(object),
    ];
  },
};

function decision(object: JsonObject): string {
  const types = new Set(objectsAt(status(object), 'conditions').map(({ type }) => type));
  const verdict = types.has('Denied') ? 'Denied' : types.has('Approved') ? 'Approved' : 'Pending';
  const isIssued = stringAt(status(object), 'certificate') !== '';
  return [verdict, ...(types.has('Failed') ? ['Failed'] : []), ...(isIssued ? ['Issued'] : [])].join(',');
}

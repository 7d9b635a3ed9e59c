import { objectAt, objectsAt, stringAt } from '../json/json-object.ts';
import { ageOf, nameOf } from './_cells.ts';
import { text, wide, NAME, AGE, spec, type Printer } from './_columns.ts';

export const plain: Printer = {
  columns: [NAME, AGE],
  row: (object, now) => [nameOf(object), ageOf(object, now)],
};

/** For kinds without columns of their own: the creation time instead of an age. */
export const generic: Printer = {
  columns: [NAME, text('Created At', 'When the object was created.')],
  row: (object) => [nameOf(object), stringAt(objectAt(object, 'metadata'), 'creationTimestamp')],
};

export const lease: Printer = {
  columns: [NAME, text('Holder', 'Who has the lease.'), AGE],
  row: (object, now) => [nameOf(object), stringAt(spec(object), 'holderIdentity'), ageOf(object, now)],
};

export const binding: Printer = {
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

export const role: Printer = {
  columns: [NAME, text('Created At', 'When the object was created.')],
  row: generic.row,
};

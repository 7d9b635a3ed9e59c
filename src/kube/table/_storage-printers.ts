import { objectAt, stringAt, stringMapAt, stringsAt } from '../json/json-object.ts';
import { ageOf, nameOf } from './_cells.ts';
import { text, wide, NAME, AGE, spec, status, type Printer } from './_columns.ts';

export const secret: Printer = {
  columns: [NAME, text('Type', 'What the data is for.'), text('Data', 'Number of keys.'), AGE],
  row: (object, now) => [
    nameOf(object),
    stringAt(object, 'type'),
    Object.keys(stringMapAt(object, 'data')).length,
    ageOf(object, now),
  ],
};

export const configMap: Printer = {
  columns: [NAME, text('Data', 'Number of keys.'), AGE],
  row: (object, now) => [
    nameOf(object),
    Object.keys(stringMapAt(object, 'data')).length + Object.keys(stringMapAt(object, 'binaryData')).length,
    ageOf(object, now),
  ],
};

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

export const claim: Printer = {
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

export const volume: Printer = {
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

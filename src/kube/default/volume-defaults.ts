import { objectAt, type JsonObject } from '../json/json-object.ts';
import { setDefault, setDefaultText } from './_set-default.ts';

/** Texts that a source of a volume is given where it has none; the same in a Pod and in a PersistentVolume. */
const TEXTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  iscsi: { iscsiInterface: 'default' },
  rbd: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
  scaleIO: { storageMode: 'ThinProvisioned', fsType: 'xfs' },
};

/** Fills in what a source says of itself that is wherever its volume is: `parent` holds the sources by name. */
export function setSourceDefaults(parent: JsonObject): void {
  for (const [name, texts] of Object.entries(TEXTS)) {
    const source = objectAt(parent, name);
    if (source === undefined) continue;
    for (const [field, text] of Object.entries(texts)) setDefaultText(source, field, text);
  }
  const hostPath = objectAt(parent, 'hostPath');
  if (hostPath !== undefined) setDefault(hostPath, 'type', '');
  const disk = objectAt(parent, 'azureDisk');
  if (disk === undefined) return;
  // Pointers: an empty text is a choice.
  setDefault(disk, 'cachingMode', 'ReadWrite');
  setDefault(disk, 'kind', 'Shared');
  setDefault(disk, 'fsType', 'ext4');
  setDefault(disk, 'readOnly', false);
}

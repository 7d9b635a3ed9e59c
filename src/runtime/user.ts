import type { RootedTree } from './rooted-path.ts';
import { RuntimeError } from './runtime-error.ts';
import type { LinuxUser } from './runtime-service.ts';

/** Above this a passwd or group file is refused: real ones are some kilobytes. */
const MAX_DATABASE_BYTES = 4 * 1024 * 1024;

/** Largest user or group number of Linux. */
const MAX_ID = 4294967294;

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
  /** `HOME` for the process. */
  readonly home: string;
}

/**
 * Turns the Pod's user (numbers win) or else the image's `USER` into numbers, with the image's own `/etc/passwd` and
 * `/etc/group`. Groups that list the user are added, as with supplementalGroupsPolicy `Merge`.
 *
 * @throws RuntimeError `INVALID` when a name is not in the file
 */
export async function resolveUser(
  root: RootedTree,
  requested: LinuxUser | undefined,
  imageUser: string,
): Promise<ResolvedUser> {
  const passwd = parsePasswd((await root.readText('/etc/passwd', MAX_DATABASE_BYTES)) ?? '');
  const groups = parseGroup((await root.readText('/etc/group', MAX_DATABASE_BYTES)) ?? '');
  const [imageName = '', imageGroup] = imageUser.split(':', 2);
  const userText = requested?.uid !== undefined ? String(requested.uid) : (requested?.username ?? imageName);
  const wanted = userText === '' ? '0' : userText;

  const number = parseId(wanted);
  const entry = passwd.find((line) => (number === undefined ? line.name === wanted : line.uid === number));
  if (number === undefined && entry === undefined) {
    throw new RuntimeError('INVALID', `unable to find user ${wanted}: no matching entries in passwd file`);
  }
  const uid = number ?? entry?.uid ?? 0;
  let gid = entry?.gid ?? 0;
  if (requested?.gid !== undefined) gid = requested.gid;
  else if (requested?.uid === undefined && imageGroup !== undefined && imageGroup !== '') {
    const groupNumber = parseId(imageGroup);
    const group = groups.find((line) =>
      groupNumber === undefined ? line.name === imageGroup : line.gid === groupNumber,
    );
    if (groupNumber === undefined && group === undefined) {
      throw new RuntimeError(
        'INVALID',
        `unable to find group ${imageGroup}: no matching entries in group file`,
      );
    }
    gid = groupNumber ?? group?.gid ?? 0;
  }
  const supplemental = new Set<number>([gid]);
  if (entry !== undefined) {
    for (const line of groups) if (line.members.includes(entry.name)) supplemental.add(line.gid);
  }
  for (const id of requested?.supplementalGroups ?? []) supplemental.add(id);
  return { uid, gid, supplementalGroups: [...supplemental], home: entry?.home ?? '/' };
}

function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function parsePasswd(text: string): { name: string; uid: number; gid: number; home: string }[] {
  const entries = [];
  for (const line of text.split('\n')) {
    const [name, , uid, gid, , home] = line.split(':');
    if (name === undefined || uid === undefined || gid === undefined) continue;
    const uidNumber = parseId(uid);
    const gidNumber = parseId(gid);
    if (name === '' || uidNumber === undefined || gidNumber === undefined) continue;
    entries.push({
      name,
      uid: uidNumber,
      gid: gidNumber,
      home: home === undefined || home === '' ? '/' : home,
    });
  }
  return entries;
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  const entries = [];
  for (const line of text.split('\n')) {
    const [name, , gid, members] = line.split(':');
    if (name === undefined || name === '' || gid === undefined) continue;
    const number = parseId(gid);
    if (number === undefined) continue;
    entries.push({
      name,
      gid: number,
      members: (members ?? '').split(',').filter((member) => member !== ''),
    });
  }
  return entries;
}

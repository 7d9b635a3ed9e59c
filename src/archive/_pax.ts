import { ArchiveError } from './archive-error.ts';

/** Records of one extended header, in their order; an empty value takes a record back. */
export type PaxRecords = Map<string, Buffer>;

/**
 * Reads the records of a pax extended header: `LENGTH KEY=VALUE\n`, where the length counts itself.
 *
 * @throws ArchiveError `BAD_ARCHIVE`
 * @see POSIX.1-2017 pax, "pax Extended Header"
 */
export function parsePax(data: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  const sparseMap: string[] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    const length = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = space < 0 ? -1 : data.indexOf(0x3d, space + 1);
    if (length === 0 || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a) {
      throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: pax record at byte ${at} is malformed`);
    }
    const key = data.toString('utf8', space + 1, equals);
    const value = data.subarray(equals + 1, end - 1);
    if (key === '')
      throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: pax record at byte ${at} has no key`);
    // Format 0.0 of sparse files repeats a pair of records for each part; later formats say it in one.
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
      sparseMap.push(value.toString('latin1'));
    else records.set(key, value);
    at = end;
  }
  if (sparseMap.length > 0) records.set('GNU.sparse.map', Buffer.from(sparseMap.join(','), 'latin1'));
  return records;
}

/** Prints one record, length included. */
export function formatPaxRecord(key: string, value: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

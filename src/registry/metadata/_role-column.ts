import { isRole, type Role } from '../identity/identity.ts';
import type { SqlRow } from './sqlite-database.ts';

/** Reads the column `role`. */
export function roleOf(row: SqlRow): Role {
  const text = String(row['role']);
  if (!isRole(text)) throw new Error(`Cannot read a role: "${text}" is none`);
  return text;
}

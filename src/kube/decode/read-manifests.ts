import { CodedError, messageOf } from '../../base/coded-error.ts';
import type { KubeObject } from '../object.ts';
import { parseJson } from '../json/parse-json.ts';
import { parseYamlStream, YamlError } from './parse-yaml.ts';

export type ManifestErrorCode = 'BAD_SYNTAX' | 'NOT_AN_OBJECT' | 'DUPLICATE_FIELD';

/** Why a file of manifests cannot be read; the message says where in it. */
export class ManifestError extends CodedError<ManifestErrorCode> {}

/** How lists of lists may nest: nobody writes more than one. */
const MAX_LIST_DEPTH = 8;

/**
 * Reads a file of manifests: JSON or YAML, several documents, `List` kinds taken apart. Fields are not checked here: what
 * a field must be is the API's decision.
 *
 * @param where names the file in errors
 * @throws ManifestError
 */
export function readManifests(text: string, where: string): KubeObject[] {
  return documents(text, where).flatMap((value, index) =>
    flatten(value, `${where}, document ${index + 1}`, 0),
  );
}

function documents(text: string, where: string): unknown[] {
  const fail = (error: unknown): ManifestError =>
    new ManifestError('BAD_SYNTAX', `Cannot read ${where}: ${messageOf(error)}`, { cause: error });
  if (/^\s*[{[]/.test(text)) {
    try {
      const duplicates: string[] = [];
      const value = parseJson(text, {
        onDuplicate: (path) => duplicates.push(`field "${path}" is given twice`),
      });
      rejectDuplicates(duplicates, where);
      return [value];
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      // YAML in flow style begins the same way.
    }
  }
  try {
    return parseYamlStream(text).map((document) => {
      rejectDuplicates(document.duplicates, where);
      return document.value;
    });
  } catch (error) {
    if (error instanceof YamlError) throw fail(error);
    throw error;
  }
}

function rejectDuplicates(duplicates: readonly string[], where: string): void {
  if (duplicates[0] !== undefined)
    throw new ManifestError('DUPLICATE_FIELD', `Cannot read ${where}: ${duplicates[0]}`);
}

function flatten(value: unknown, where: string, depth: number): KubeObject[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ManifestError('NOT_AN_OBJECT', `Cannot read ${where}: it is no Kubernetes object`);
  }
  const { apiVersion, kind, metadata, items } = value as Record<string, unknown>;
  if (typeof apiVersion !== 'string' || apiVersion === '' || typeof kind !== 'string' || kind === '') {
    throw new ManifestError(
      'NOT_AN_OBJECT',
      `Cannot read ${where}: ${typeof kind === 'string' && kind !== '' ? 'apiVersion' : 'kind'} is not set`,
    );
  }
  if (kind.endsWith('List') && Array.isArray(items)) {
    if (depth >= MAX_LIST_DEPTH)
      throw new ManifestError('NOT_AN_OBJECT', `Cannot read ${where}: lists hold lists without end`);
    return items.flatMap((item, index) => flatten(item, `${where}, item ${index + 1}`, depth + 1));
  }
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new ManifestError('NOT_AN_OBJECT', `Cannot read ${where}: ${kind} has no metadata`);
  }
  return [value as KubeObject];
}

import { CodedError } from '../../base/coded-error.ts';
import { isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { parseYamlStream } from './parse-yaml.ts';

/** A file that does not hold Kubernetes objects. */
export class ManifestError extends CodedError<'BAD_MANIFEST'> {}

/**
 * Reads a file of manifests: JSON or YAML, many documents, `List` kinds flattened. Nothing beyond apiVersion and
 * kind is checked; repeated keys are refused, because the file's author cannot have meant both.
 *
 * @throws YamlError for bad syntax, ManifestError for documents that are no objects
 */
export function parseManifests(text: string): KubeObject[] {
  return parseYamlStream(text).flatMap(({ value, duplicates }, index) => {
    const where = `Cannot read document ${index + 1}`;
    if (duplicates[0] !== undefined) throw new ManifestError('BAD_MANIFEST', `${where}: ${duplicates[0]}`);
    return flatten(value, where);
  });
}

function flatten(value: unknown, where: string): KubeObject[] {
  if (!isObject(value)) throw new ManifestError('BAD_MANIFEST', `${where}: it is not an object`);
  const { apiVersion, kind, items } = value;
  if (typeof kind !== 'string' || kind === '') {
    throw new ManifestError('BAD_MANIFEST', `${where}: Object 'Kind' is missing`);
  }
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    throw new ManifestError('BAD_MANIFEST', `${where}: Object 'apiVersion' is missing`);
  }
  if (kind.endsWith('List') && Array.isArray(items)) return items.flatMap((item) => flatten(item, where));
  const metadata = isObject(value['metadata']) ? value['metadata'] : {};
  return [{ ...value, apiVersion, kind, metadata } as unknown as KubeObject];
}

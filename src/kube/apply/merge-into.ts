import { messageOf } from '../../base/coded-error.ts';
import { isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { structOfResource, type ResourceInfo } from '../resources.ts';
import { ApplyError } from './apply-error.ts';
import { mergeConfiguration } from './_merge.ts';
import { shapeOfStruct } from './_shape.ts';

/** What a configuration may not say of an object, because it would be another object then. */
const IDENTITY = ['name', 'namespace', 'generateName', 'uid', 'creationTimestamp', 'managedFields'] as const;

/**
 * Lays a configuration over an object as server-side apply does, without owning anything and without taking anything
 * away. The outcome is not yet decoded.
 *
 * @throws ApplyError when the configuration is none, or would change which object this is
 */
export function mergeInto(object: KubeObject, config: unknown, resource: ResourceInfo): unknown {
  const struct = structOfResource(resource);
  if (struct === undefined || !isObject(config)) {
    throw new ApplyError('BAD_CONFIGURATION', 'invalid ApplyConfiguration: not an object');
  }
  for (const key of ['apiVersion', 'kind'] as const) {
    if (config[key] !== undefined && config[key] !== object[key]) throw changed(key);
  }
  const metadata = isObject(config['metadata']) ? config['metadata'] : {};
  for (const key of IDENTITY) if (metadata[key] !== undefined) throw changed(`metadata.${key}`);
  try {
    return mergeConfiguration(object, config, shapeOfStruct(struct));
  } catch (error) {
    throw new ApplyError('BAD_CONFIGURATION', `error applying patch: ${messageOf(error)}`, { cause: error });
  }
}

function changed(field: string): ApplyError {
  return new ApplyError('BAD_CONFIGURATION', `invalid ApplyConfiguration: may not mutate ${field}`);
}

import { goJson } from '../../base/go-json.ts';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { compareStates } from './_compare.ts';
import { fieldSetOf } from './_field-set-of.ts';
import type { Shape } from './_shape.ts';
import type { FieldSet } from './field-set.ts';
import { claimed, stripped } from './managed-fields.ts';

/*
 * `kubectl apply` keeps what it applied in an annotation; `kubectl apply --server-side` keeps it in managedFields. Who goes from the one
 * to the other, and back, is not held up by themselves: the annotation says what was theirs, and follows what they apply.
 */

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** All annotations of one object together, in bytes. */
const MAX_ANNOTATION_BYTES = 256 * 1024;

/** The one manager whose applying the annotation follows. */
export const FOLLOWED = 'kubectl';

/** Writes the configuration into the annotation that says what was applied, where there is one. */
export function refreshLastApplied(object: KubeObject, config: JsonObject): void {
  const { annotations } = object.metadata;
  if (annotations === undefined || (annotations[LAST_APPLIED] ?? '') === '') return;
  const metadata = objectAt(config, 'metadata');
  const own = objectAt(metadata, 'annotations');
  const { [LAST_APPLIED]: _old, ...others } = own ?? {};
  const plain = own === undefined ? config : { ...config, metadata: { ...metadata, annotations: others } };
  annotations[LAST_APPLIED] = `${goJson(sorted(plain))}\n`;
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  if (bytes > MAX_ANNOTATION_BYTES) delete annotations[LAST_APPLIED];
}

/** Returns what the annotation says was applied and still is as it was; undefined without one that can be read. */
export function stillAsLastApplied(current: KubeObject, shape: Shape): FieldSet | undefined {
  const text = current.metadata.annotations?.[LAST_APPLIED] ?? '';
  const config = parsed(text);
  if (config === undefined || stringAt(config, 'apiVersion') !== current.apiVersion) return undefined;
  const applied = fieldSetOf(claimed(config), shape);
  const { added, modified, removed } = compareStates(claimed(config), stripped(current), shape);
  return applied.difference(modified).difference(added).difference(removed);
}

function parsed(text: string): JsonObject | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).toSorted();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}

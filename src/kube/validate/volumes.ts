import { duplicateValue, forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';
import { SOURCES, validateSource } from './volume-sources.ts';

export interface VolumesContext {
  /** A Pod itself is checked more strictly than a template. */
  readonly inPod: boolean;
  /** Name of the Pod, `''` in a template: claims made for a volume get their name from it. */
  readonly podName: string;
}

/** Checks volumes and returns the good ones by name, which mounts may use. */
export function validateVolumes(
  volumes: readonly JsonObject[],
  path: string,
  context: VolumesContext,
): { errors: FieldError[]; volumes: ReadonlyMap<string, JsonObject> } {
  const errors: FieldError[] = [];
  const good = new Map<string, JsonObject>();
  const names = new Set<string>();
  volumes.forEach((volume, index) => {
    const at = `${path}[${index}]`;
    const found = validateVolume(volume, at, context);
    const name = stringAt(volume, 'name');
    if (name === '') found.push(required(`${at}.name`));
    else found.push(...labelNameFaults(name).map((fault) => invalidValue(`${at}.name`, name, fault)));
    if (names.has(name)) found.push(duplicateValue(`${at}.name`, name));
    if (found.length === 0) {
      names.add(name);
      good.set(name, volume);
    }
    errors.push(...found);
  });
  return { errors, volumes: good };
}

function validateVolume(volume: JsonObject, path: string, context: VolumesContext): FieldError[] {
  const given = SOURCES.filter((name) => objectAt(volume, name) !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(path, 'must specify a volume type')];
  const errors = validateSource(first, objectAt(volume, first) ?? {}, `${path}.${first}`, context.inPod);
  for (const name of others) {
    errors.push(forbiddenField(`${path}.${name}`, 'may not specify more than 1 volume type'));
  }
  return first === 'ephemeral' ? [...errors, ...validateClaimName(volume, path, context)] : errors;
}

function validateClaimName(volume: JsonObject, path: string, { podName }: VolumesContext): FieldError[] {
  const name = stringAt(volume, 'name');
  if (podName === '' || name === '') return [];
  const claim = `${podName}-${name}`;
  return subdomainFaults(claim).map((fault) =>
    invalidValue(`${path}.name`, name, `PVC name ${JSON.stringify(claim)}: ${fault}`),
  );
}

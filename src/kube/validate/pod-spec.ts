import { duplicateValue, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { forbidFields, validateContainer, validateContainerLife, validateHostPorts } from './containers.ts';
import { validateLabels, validateLabelSelector, validateValueCount } from './metadata.ts';
import { labelNameFaults, qualifiedNameFaults, subdomainFaults } from './name-rules.ts';
import { validateVolumes } from './volumes.ts';

export interface PodSpecContext {
  /** Field of the spec: `spec`, `spec.template.spec`. */
  readonly path: string;
  /** A Pod itself is checked more strictly than a template (rules 1.18 and 2.7). */
  readonly inPod: boolean;
}

const DNS_POLICIES = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const MAX_INT32 = 2_147_483_647;

/** Checks a Pod description after defaulting. */
export function validatePodSpec(spec: JsonObject, { path, inPod }: PodSpecContext): FieldError[] {
  const volumes = validateVolumes(objectsAt(spec, 'volumes'), `${path}.volumes`, inPod);
  const errors = [...volumes.errors];
  const names = new Set<string>();
  errors.push(...validateMain(spec, path, volumes.names, names));
  errors.push(...validateInit(spec, path, volumes.names, names));
  errors.push(...validateEphemeral(spec, path, volumes.names, names));
  const restartPolicy = stringAt(spec, 'restartPolicy');
  if (!['Always', 'OnFailure', 'Never'].includes(restartPolicy)) {
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, ['Always', 'OnFailure', 'Never']));
  }
  const dnsPolicy = stringAt(spec, 'dnsPolicy');
  if (!DNS_POLICIES.includes(dnsPolicy))
    errors.push(notSupported(`${path}.dnsPolicy`, dnsPolicy, DNS_POLICIES));
  errors.push(...validateLabels(stringMapAt(spec, 'nodeSelector'), `${path}.nodeSelector`));
  errors.push(...validateAffinity(objectAt(spec, 'affinity'), `${path}.affinity`));
  errors.push(...validateSchedulingGates(objectsAt(spec, 'schedulingGates'), `${path}.schedulingGates`));
  errors.push(...validateText(spec, 'serviceAccountName', path, subdomainFaults));
  errors.push(...validateText(spec, 'nodeName', path, subdomainFaults));
  const deadline = numberAt(spec, 'activeDeadlineSeconds');
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32)) {
    errors.push(
      invalidValue(
        `${path}.activeDeadlineSeconds`,
        deadline,
        `must be between 1 and ${MAX_INT32}, inclusive`,
      ),
    );
  }
  errors.push(...validateText(spec, 'hostname', path, labelNameFaults));
  errors.push(...validateText(spec, 'subdomain', path, labelNameFaults));
  errors.push(...validateTolerations(objectsAt(spec, 'tolerations'), `${path}.tolerations`));
  errors.push(...validateText(spec, 'priorityClassName', path, subdomainFaults));
  errors.push(...validateText(spec, 'runtimeClassName', path, subdomainFaults));
  return errors;
}

/** Checks that images carry no white space at their ends: of Pods only (rule 1.18). */
export function validateImageSpaces(spec: JsonObject, path: string): FieldError[] {
  return ['containers', 'initContainers', 'ephemeralContainers'].flatMap((list) =>
    objectsAt(spec, list).flatMap((container, index) =>
      validateImageSpace(stringAt(container, 'image'), `${path}.${list}[${index}].image`),
    ),
  );
}

/** Checks one image name for white space at its ends. */
export function validateImageSpace(image: string, path: string): FieldError[] {
  if (image.trim() === image) return [];
  return [invalidValue(path, image, 'must not have leading or trailing whitespace')];
}

function validateMain(
  spec: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
  names: Set<string>,
): FieldError[] {
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) return [required(`${path}.containers`)];
  const errors = containers.flatMap((container, index) => {
    const at = `${path}.containers[${index}]`;
    const found = validateContainer(container, at, volumes);
    found.push(...claimName(container, at, names));
    found.push(...validateContainerLife(container, at));
    return found;
  });
  return [...errors, ...validateHostPorts(containers, `${path}.containers`)];
}

function validateInit(
  spec: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
  names: Set<string>,
): FieldError[] {
  return objectsAt(spec, 'initContainers').flatMap((container, index) => {
    const at = `${path}.initContainers[${index}]`;
    const found = validateContainer(container, at, volumes);
    found.push(...claimName(container, at, names));
    // A sidecar runs beside the others and may be watched like them.
    if (container['restartPolicy'] === 'Always') return [...found, ...validateContainerLife(container, at)];
    const watching = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'];
    return [
      ...found,
      ...forbidFields(
        container,
        watching,
        at,
        'may not be set for init containers without restartPolicy=Always',
      ),
    ];
  });
}

const NOT_EPHEMERAL = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe', 'ports'];

function validateEphemeral(
  spec: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
  names: Set<string>,
): FieldError[] {
  const targets = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      objectsAt(spec, list).map((entry) => stringAt(entry, 'name')),
    ),
  );
  return objectsAt(spec, 'ephemeralContainers').flatMap((container, index) => {
    const at = `${path}.ephemeralContainers[${index}]`;
    const found = validateContainer(container, at, volumes);
    found.push(...claimName(container, at, names));
    const target = stringAt(container, 'targetContainerName');
    if (target !== '' && !targets.has(target)) {
      found.push({
        type: 'FieldValueNotFound',
        field: `${at}.targetContainerName`,
        message: `Not found: "${target}"`,
      });
    }
    return [
      ...found,
      ...forbidFields(container, NOT_EPHEMERAL, at, 'cannot be set for an Ephemeral Container'),
    ];
  });
}

function claimName(container: JsonObject, path: string, names: Set<string>): FieldError[] {
  const name = stringAt(container, 'name');
  if (name === '') return [];
  if (names.has(name)) return [duplicateValue(`${path}.name`, name)];
  names.add(name);
  return [];
}

function validateText(
  spec: JsonObject,
  key: string,
  path: string,
  faultsOf: (text: string) => string[],
): FieldError[] {
  const text = stringAt(spec, key);
  if (text === '') return [];
  return faultsOf(text).map((fault) => invalidValue(`${path}.${key}`, text, fault));
}

function validateSchedulingGates(gates: readonly JsonObject[], path: string): FieldError[] {
  const seen = new Set<string>();
  return gates.flatMap((gate, index) => {
    const name = stringAt(gate, 'name');
    const errors = qualifiedNameFaults(name).map((fault) => invalidValue(`${path}[${index}]`, name, fault));
    if (seen.has(name)) errors.push(duplicateValue(`${path}[${index}].name`, name));
    seen.add(name);
    return errors;
  });
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function validateTolerations(tolerations: readonly JsonObject[], path: string): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const at = `${path}[${index}]`;
    const errors: FieldError[] = [];
    const key = stringAt(toleration, 'key');
    const operator = stringAt(toleration, 'operator');
    const value = stringAt(toleration, 'value');
    const effect = stringAt(toleration, 'effect');
    if (key !== '')
      errors.push(...qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault)));
    if (key === '' && operator !== 'Exists') {
      errors.push(
        invalidValue(
          `${at}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
      errors.push(
        invalidValue(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    }
    if (operator === 'Exists') {
      if (value !== '') {
        errors.push(
          invalidValue(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"),
        );
      }
    } else if (operator !== '' && operator !== 'Equal') {
      errors.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
    }
    if (effect !== '' && !EFFECTS.includes(effect))
      errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    return errors;
  });
}

const NODE_OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'];

function validateAffinity(affinity: JsonObject | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const nodeAffinity = objectAt(affinity, 'nodeAffinity');
  const requiredTerms = objectAt(nodeAffinity, 'requiredDuringSchedulingIgnoredDuringExecution');
  const at = `${path}.nodeAffinity`;
  if (requiredTerms !== undefined) {
    const place = `${at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
    const terms = objectsAt(requiredTerms, 'nodeSelectorTerms');
    if (terms.length === 0) errors.push(required(place, 'must have at least one node selector term'));
    terms.forEach((term, index) => errors.push(...validateNodeTerm(term, `${place}[${index}]`)));
  }
  objectsAt(nodeAffinity, 'preferredDuringSchedulingIgnoredDuringExecution').forEach((entry, index) => {
    const place = `${at}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`;
    const weight = numberAt(entry, 'weight') ?? 0;
    if (weight < 1 || weight > 100)
      errors.push(invalidValue(`${place}.weight`, weight, 'must be in the range 1-100'));
    errors.push(...validateNodeTerm(objectAt(entry, 'preference') ?? {}, `${place}.preference`));
  });
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const terms = objectsAt(objectAt(affinity, kind), 'requiredDuringSchedulingIgnoredDuringExecution');
    terms.forEach((term, index) => {
      const place = `${path}.${kind}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`;
      errors.push(...validateLabelSelector(objectAt(term, 'labelSelector'), `${place}.labelSelector`));
      if (stringAt(term, 'topologyKey') === '') {
        errors.push(required(`${place}.topologyKey`, 'can not be empty'));
      }
    });
  }
  return errors;
}

function validateNodeTerm(term: JsonObject, path: string): FieldError[] {
  return objectsAt(term, 'matchExpressions').flatMap((expression, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const errors: FieldError[] = [];
    const operator = stringAt(expression, 'operator');
    const values = stringsAt(expression, 'values');
    const counted = validateValueCount(operator, values, at);
    if (counted !== undefined) {
      errors.push(...counted);
    } else if (operator === 'Gt' || operator === 'Lt') {
      if (values.length !== 1) {
        errors.push(
          required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
        );
      }
    } else if (!NODE_OPERATORS.includes(operator)) {
      errors.push(invalidValue(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    const key = stringAt(expression, 'key');
    errors.push(...qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault)));
    return errors;
  });
}

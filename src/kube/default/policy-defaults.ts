import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';
import { setDefault, setDefaultText } from './_set-default.ts';

/** Seconds that a webhook may take when its configuration does not say. */
const WEBHOOK_SECONDS = 10;
/** Port of a webhook's Service when its configuration does not say. */
const WEBHOOK_PORT = 443;

/** Fills in the webhooks of a configuration. */
export function setWebhookDefaults(configuration: JsonObject): void {
  const isMutating = configuration['kind'] === 'MutatingWebhookConfiguration';
  for (const webhook of objectsAt(configuration, 'webhooks')) {
    setDefault(webhook, 'failurePolicy', 'Fail');
    setDefault(webhook, 'matchPolicy', 'Equivalent');
    setDefault(webhook, 'namespaceSelector', {});
    setDefault(webhook, 'objectSelector', {});
    setDefault(webhook, 'timeoutSeconds', WEBHOOK_SECONDS);
    if (isMutating) setDefault(webhook, 'reinvocationPolicy', 'Never');
    setScopes(webhook, 'rules');
    const service = objectAt(objectAt(webhook, 'clientConfig'), 'service');
    if (service !== undefined) setDefault(service, 'port', WEBHOOK_PORT);
  }
}

/** Fills in an admission policy. */
export function setAdmissionPolicyDefaults(policy: JsonObject): void {
  const spec = objectAt(policy, 'spec');
  if (spec === undefined) return;
  setDefault(spec, 'failurePolicy', 'Fail');
  if (policy['kind'] === 'MutatingAdmissionPolicy') setDefaultText(spec, 'reinvocationPolicy', 'Never');
  setMatchDefaults(objectAt(spec, 'matchConstraints'));
}

/** Fills in the binding of an admission policy. */
export function setPolicyBindingDefaults(binding: JsonObject): void {
  setMatchDefaults(objectAt(objectAt(binding, 'spec'), 'matchResources'));
}

function setMatchDefaults(match: JsonObject | undefined): void {
  if (match === undefined) return;
  setDefault(match, 'matchPolicy', 'Equivalent');
  setDefault(match, 'namespaceSelector', {});
  setDefault(match, 'objectSelector', {});
  setScopes(match, 'resourceRules');
  setScopes(match, 'excludeResourceRules');
}

function setScopes(parent: JsonObject, key: string): void {
  for (const rule of objectsAt(parent, key)) setDefault(rule, 'scope', '*');
}

/** Fills in a LimitRange: of a limit that says only part, the rest follows. */
export function setLimitRangeDefaults(range: JsonObject): void {
  for (const item of objectsAt(objectAt(range, 'spec'), 'limits')) {
    if (item['type'] !== 'Container') continue;
    const limits = { ...objectAt(item, 'default') };
    const requests = { ...objectAt(item, 'defaultRequest') };
    for (const [name, amount] of Object.entries(objectAt(item, 'max') ?? {})) limits[name] ??= amount;
    for (const [name, amount] of Object.entries(limits)) requests[name] ??= amount;
    for (const [name, amount] of Object.entries(objectAt(item, 'min') ?? {})) requests[name] ??= amount;
    if (Object.keys(limits).length > 0) item['default'] = limits;
    if (Object.keys(requests).length > 0) item['defaultRequest'] = requests;
  }
}

/** Fills in a PriorityClass. */
export function setPriorityClassDefaults(priorityClass: JsonObject): void {
  setDefault(priorityClass, 'preemptionPolicy', 'PreemptLowerPriority');
}

/** Fills in a StorageClass. */
export function setStorageClassDefaults(storageClass: JsonObject): void {
  setDefault(storageClass, 'reclaimPolicy', 'Delete');
  setDefault(storageClass, 'volumeBindingMode', 'Immediate');
}

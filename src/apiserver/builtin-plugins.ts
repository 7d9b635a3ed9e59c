import type { Clock } from '../base/clock.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { claimProtection } from './claim-protection.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import type { ObjectStore } from './object-store.ts';
import { alwaysPullImages, serviceAccountAdmission } from './pod-admission.ts';
import { defaultTolerations, podPriority } from './pod-defaults-admission.ts';

/** Plugins that can be switched on by name. */
export type PluginName = 'AlwaysPullImages' | 'ImagePolicyWebhook';

/** Returns the plugins of the server in upstream's order. */
export function builtinPlugins(options: {
  store: ObjectStore;
  clock: Clock;
  enabled: readonly PluginName[];
}): AdmissionPlugin[] {
  const { store, clock, enabled } = options;
  return [
    namespaceLifecycle(store),
    serviceAccountAdmission(store, clock),
    nodeRestriction,
    ...(enabled.includes('AlwaysPullImages') ? [alwaysPullImages] : []),
    podPriority,
    defaultTolerations,
    claimProtection,
  ];
}

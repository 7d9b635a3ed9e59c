import type { Clock } from '../base/clock.ts';
import { CodedError } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import type { DefaultOptions } from '../kube/default/set-defaults.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import {
  certificateApproval,
  certificateSigning,
  certificateSubjects,
} from './admission/certificate-plugins.ts';
import { defaultStorageClass, runtimeClass } from './admission/class-defaults.ts';

import { limitRanger } from './admission/limit-ranger.ts';
import { mutatingPolicies } from './admission/mutating-policies.ts';
import { podSecurity } from './admission/pod-security-plugin.ts';
import { priority } from './admission/priority.ts';
import { ResourceQuotas } from './admission/resource-quota.ts';
import { validatingPolicies } from './admission/validating-policies.ts';
import { WebhookClient } from './admission/webhook-client.ts';
import { mutatingWebhooks, validatingWebhooks } from './admission/webhook-plugins.ts';
import type { Authorizer } from './authorizer.ts';
import { storageProtection } from './storage-protection.ts';
import { imagePolicyPlugin } from './image-policy-plugin.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import type { ObjectStore } from './object-store.ts';
import { alwaysPullImages, serviceAccountAdmission } from './pod-admission.ts';
import { defaultTolerations } from './pod-defaults-admission.ts';
import { serviceAddresses } from './service-addresses.ts';
import type { ServedResources } from './served-resources.ts';

/** Plugins in the order in which they run, and whether they are on unless switched off. */
const PLUGINS = {
  NamespaceLifecycle: true,
  LimitRanger: true,
  ServiceAccount: true,
  NodeRestriction: true,
  AlwaysPullImages: false,
  ImagePolicyWebhook: false,
  PodSecurity: true,
  Priority: true,
  DefaultTolerationSeconds: true,
  DefaultStorageClass: true,
  StorageObjectInUseProtection: true,
  RuntimeClass: true,
  CertificateApproval: true,
  CertificateSigning: true,
  CertificateSubjectRestriction: true,
  MutatingAdmissionPolicy: true,
  MutatingAdmissionWebhook: true,
  ValidatingAdmissionPolicy: true,
  ValidatingAdmissionWebhook: true,
  ResourceQuota: true,
} as const;

export type PluginName = keyof typeof PLUGINS;

export class PluginChoiceError extends CodedError<'UNKNOWN' | 'OVERLAP'> {}

/** Tells whether this is one of our plugins. */
export function isPluginName(name: string): name is PluginName {
  return Object.hasOwn(PLUGINS, name);
}

/**
 * Reads the values of `--enable-admission-plugins` and `--disable-admission-plugins`.
 *
 * @throws PluginChoiceError with kube-apiserver's texts
 */
export function choosePlugins(
  enabled: readonly string[],
  disabled: readonly string[],
): ReadonlySet<PluginName> {
  const known = (flag: string, names: readonly string[]): PluginName[] =>
    names.map((name) => {
      if (isPluginName(name)) return name;
      throw new PluginChoiceError('UNKNOWN', `${flag} plugin ${goQuote(name)} is unknown`);
    });
  const on = known('enable-admission-plugins', enabled);
  const off = new Set(known('disable-admission-plugins', disabled));
  const both = on.filter((name) => off.has(name));
  if (both.length > 0) {
    throw new PluginChoiceError(
      'OVERLAP',
      `[${both.join(' ')}] in enable-admission-plugins and disable-admission-plugins overlapped`,
    );
  }
  const names = Object.keys(PLUGINS).filter(isPluginName);
  return new Set(names.filter((name) => on.includes(name) || (PLUGINS[name] && !off.has(name))));
}

export interface PluginContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly served: ServedResources;
  readonly authorizer: Authorizer;
  readonly defaults: DefaultOptions;
  readonly configFile?: string;
  /** Told of webhooks that failed and were passed over. */
  readonly onIgnored: (webhook: string, why: string) => void;
}

export interface Plugins {
  readonly all: readonly AdmissionPlugin[];
  close(): Promise<void>;
}

/**
 * Makes the plugins chosen, in upstream's order.
 *
 * @throws AdmissionConfigError, ImagePolicyConfigError, KubeconfigError
 */
export async function makePlugins(chosen: ReadonlySet<PluginName>, context: PluginContext): Promise<Plugins> {
  const { store, clock, configFile } = context;
  const client = new WebhookClient(store);
  const closing: (() => unknown)[] = [() => client.close()];
  const webhooks = { ...context, client };
  const closed = <T extends AdmissionPlugin & { close(): unknown }>(plugin: T): T => {
    closing.push(() => plugin.close());
    return plugin;
  };
  const makers: Record<PluginName, () => AdmissionPlugin | Promise<AdmissionPlugin>> = {
    NamespaceLifecycle: () => namespaceLifecycle(store),
    LimitRanger: () => closed(limitRanger(store)),
    ServiceAccount: () => serviceAccountAdmission(store, clock),
    NodeRestriction: () => nodeRestriction(store),
    AlwaysPullImages: () => alwaysPullImages,
    ImagePolicyWebhook: async () => {
      const policy = await imagePolicyPlugin(configFile, clock);
      closing.push(() => policy.close());
      return policy.plugin;
    },
    PodSecurity: () => podSecurity(store),
    Priority: () => closed(priority(store)),
    DefaultTolerationSeconds: () => defaultTolerations,
    DefaultStorageClass: () => defaultStorageClass(store),
    RuntimeClass: () => runtimeClass(store),
    StorageObjectInUseProtection: () => storageProtection,
    CertificateApproval: () => certificateApproval(context.authorizer),
    CertificateSigning: () => certificateSigning(context.authorizer),
    CertificateSubjectRestriction: () => certificateSubjects,
    MutatingAdmissionPolicy: () => closed(mutatingPolicies(context)),
    MutatingAdmissionWebhook: () => closed(mutatingWebhooks(webhooks)),
    ValidatingAdmissionPolicy: () => closed(validatingPolicies(context)),
    ValidatingAdmissionWebhook: () => closed(validatingWebhooks(webhooks)),
    ResourceQuota: () => {
      const quotas = new ResourceQuotas(store, clock);
      closing.push(() => {
        quotas.close();
      });
      return quotas.plugin;
    },
  };
  const all: AdmissionPlugin[] = [];
  for (const name of Object.keys(PLUGINS).filter(isPluginName)) {
    if (chosen.has(name)) all.push(await makers[name]());
  }
  // Not a plugin that could be chosen: without addresses there are no Services.
  all.push(serviceAddresses(store));
  return {
    all,
    close: async () => {
      for (const close of closing) await close();
    },
  };
}

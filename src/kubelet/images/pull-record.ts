/** A secret that once pulled an image, and the hash of what it held then. */
export interface RecordedSecret {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly credentialHash: string;
}

export interface RecordedServiceAccount {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

/** Who may use an image under one of its names. Empty everywhere: nobody without a new proof. */
export interface RecordedCredentials {
  readonly kubernetesSecrets: readonly RecordedSecret[];
  readonly kubernetesServiceAccounts: readonly RecordedServiceAccount[];
  /** Pulled without a credential or with one of the node: free for every Pod of the node. */
  readonly nodePodsAccessible: boolean;
}

/** What the kubelet remembers of an image that it pulled (rule 3.26). */
export interface PulledRecord {
  /** RFC 3339, whole seconds, UTC. */
  readonly lastUpdatedTime: string;
  readonly imageRef: string;
  /** By image name as in the Pod, without tag and digest (rule 1.17). */
  readonly credentialMapping: ReadonlyMap<string, RecordedCredentials>;
}

export const NO_CREDENTIALS: RecordedCredentials = {
  kubernetesSecrets: [],
  kubernetesServiceAccounts: [],
  nodePodsAccessible: false,
};

/** Prints a time as records carry it. */
export function recordTime(milliseconds: number): string {
  return `${new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

export function sameObject(
  a: { readonly uid: string; readonly namespace: string; readonly name: string },
  b: { readonly uid: string; readonly namespace: string; readonly name: string },
): boolean {
  return a.uid === b.uid && a.namespace === b.namespace && a.name === b.name;
}

/**
 * Adds what a pull proved to a record (rule 3.27).
 *
 * @param record the record there is, undefined for none
 * @returns undefined when nothing changes, so that nothing need be written
 */
export function mergeRecord(
  record: PulledRecord | undefined,
  imageRef: string,
  imageName: string,
  credentials: RecordedCredentials | undefined,
  now: number,
): PulledRecord | undefined {
  const base: PulledRecord = record ?? {
    imageRef,
    lastUpdatedTime: recordTime(now),
    credentialMapping: new Map(),
  };
  const known = base.credentialMapping.get(imageName);
  const merged =
    credentials === undefined || isEmpty(credentials) ? known : mergeCredentials(known, credentials);
  if (merged === known || merged === undefined) return record === undefined ? base : undefined;
  return {
    ...base,
    lastUpdatedTime: recordTime(now),
    credentialMapping: new Map(base.credentialMapping).set(imageName, merged),
  };
}

function isEmpty(credentials: RecordedCredentials): boolean {
  return (
    !credentials.nodePodsAccessible &&
    credentials.kubernetesSecrets.length === 0 &&
    credentials.kubernetesServiceAccounts.length === 0
  );
}

/** Returns `known` itself when nothing changes. */
function mergeCredentials(
  known: RecordedCredentials | undefined,
  added: RecordedCredentials,
): RecordedCredentials {
  if (known === undefined) return sorted(added);
  if (known.nodePodsAccessible) return known;
  if (added.nodePodsAccessible) return { ...NO_CREDENTIALS, nodePodsAccessible: true };
  const merged = sorted({
    nodePodsAccessible: false,
    kubernetesSecrets: [
      ...known.kubernetesSecrets.filter(
        (secret) => !added.kubernetesSecrets.some((other) => sameObject(secret, other)),
      ),
      ...added.kubernetesSecrets,
    ],
    kubernetesServiceAccounts: [
      ...known.kubernetesServiceAccounts.filter(
        (account) => !added.kubernetesServiceAccounts.some((other) => sameObject(account, other)),
      ),
      ...added.kubernetesServiceAccounts,
    ],
  });
  return sameCredentials(known, merged) ? known : merged;
}

function sorted(credentials: RecordedCredentials): RecordedCredentials {
  return {
    nodePodsAccessible: credentials.nodePodsAccessible,
    kubernetesSecrets: [...credentials.kubernetesSecrets].sort(byObject),
    kubernetesServiceAccounts: [...credentials.kubernetesServiceAccounts].sort(byObject),
  };
}

function byObject(a: RecordedServiceAccount, b: RecordedServiceAccount): number {
  return compare(a.namespace, b.namespace) || compare(a.name, b.name) || compare(a.uid, b.uid);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function sameCredentials(a: RecordedCredentials, b: RecordedCredentials): boolean {
  return (
    a.nodePodsAccessible === b.nodePodsAccessible &&
    a.kubernetesSecrets.length === b.kubernetesSecrets.length &&
    a.kubernetesServiceAccounts.length === b.kubernetesServiceAccounts.length &&
    a.kubernetesSecrets.every((secret, i) => {
      const other = b.kubernetesSecrets[i];
      return (
        other !== undefined && sameObject(secret, other) && secret.credentialHash === other.credentialHash
      );
    }) &&
    a.kubernetesServiceAccounts.every((account, i) => {
      const other = b.kubernetesServiceAccounts[i];
      return other !== undefined && sameObject(account, other);
    })
  );
}

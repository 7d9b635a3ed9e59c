import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { controllerOf, controllerReference } from '../kube/owner-reference.ts';
import type { PodTemplate } from '../kube/pod.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { CONTROLLER_REVISIONS } from './resource-types.ts';
import { canonical, templateHash } from './template-hash.ts';

export interface ControllerRevision extends KubeObject {
  revision: number;
  data?: { spec?: { template?: PodTemplate & { $patch?: string } } };
}

export const REVISION_HASH_LABEL = 'controller-revision-hash';

/** The revisions of one StatefulSet or DaemonSet, oldest first; the last one is that of its template now. */
export interface Revisions {
  readonly all: readonly ControllerRevision[];
  readonly current: ControllerRevision;
}

/** Returns the hash by which Pods say which revision they were made from. */
export function revisionHash(revision: ControllerRevision): string {
  return revision.metadata.labels?.[REVISION_HASH_LABEL] ?? revision.metadata.name;
}

/** Sees to it that the present template has a revision, with the highest number, and that old ones are forgotten. */
export async function keepRevisions(
  context: ControllerContext,
  owner: KubeObject,
  template: PodTemplate,
  options: { limit: number; inUse: ReadonlySet<string>; hashName: (hash: string) => string },
  signal: AbortSignal,
): Promise<Revisions> {
  const revisions = context
    .informer<ControllerRevision>(CONTROLLER_REVISIONS)
    .values()
    .filter((revision) => controllerOf(revision)?.uid === owner.metadata.uid)
    .sort((a, b) => a.revision - b.revision);
  const data = { spec: { template: { ...template, $patch: 'replace' } } };
  const text = canonical(data);
  const equal = revisions.find((revision) => canonical(revision.data) === text);
  const highest = revisions.at(-1);
  let current: ControllerRevision;
  if (equal === undefined) {
    current = await create(
      context,
      owner,
      template,
      data,
      (highest?.revision ?? 0) + 1,
      options.hashName,
      signal,
    );
  } else if (equal === highest || highest === undefined) current = equal;
  else {
    // Back to an older template: its revision becomes the newest, as `rollout undo` expects.
    const raised = { ...equal, revision: highest.revision + 1 };
    current = await context.client.update(CONTROLLER_REVISIONS, raised, signal);
  }
  const others = revisions.filter((revision) => revision.metadata.name !== current.metadata.name);
  const idle = others.filter((revision) => !options.inUse.has(revisionHash(revision)));
  for (const revision of idle.slice(0, Math.max(0, idle.length - options.limit))) {
    const { name, namespace = '' } = revision.metadata;
    await unless(['NotFound'], context.client.delete(CONTROLLER_REVISIONS, { namespace, name }, signal));
  }
  return { all: [...others, current], current };
}

async function create(
  context: ControllerContext,
  owner: KubeObject,
  template: PodTemplate,
  data: object,
  number: number,
  hashName: (hash: string) => string,
  signal: AbortSignal,
): Promise<ControllerRevision> {
  const hash = templateHash(template);
  const { namespace = '', annotations } = owner.metadata;
  const name = `${owner.metadata.name}-${hash}`;
  const revision = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name,
      namespace,
      labels: { ...template.metadata?.labels, [REVISION_HASH_LABEL]: hashName(hash) },
      // `rollout history` finds the cause of a change here.
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [controllerReference(owner)],
    },
    data,
    revision: number,
  };
  try {
    return await context.client.create(CONTROLLER_REVISIONS, revision, signal);
  } catch (error) {
    if (!isApiError(error, 'AlreadyExists')) throw error;
    return context.client.get<ControllerRevision>(CONTROLLER_REVISIONS, { namespace, name }, signal);
  }
}

import { messageOf } from '../base/coded-error.ts';
import type { Condition } from './workloads.ts';

/** What is still in a namespace after its content was deleted. */
export interface Leftovers {
  /** How many objects of each resource: `configmaps.`, `jobs.batch`. */
  readonly resources: Map<string, number>;
  /** How many objects each finalizer keeps. */
  readonly finalizers: Map<string, number>;
  readonly failures: unknown[];
}

/** The conditions that tell how far the deletion of a namespace is. */
export function deletionConditions({ resources, finalizers, failures }: Leftovers): Condition[] {
  return [
    no('NamespaceDeletionDiscoveryFailure', 'ResourcesDiscovered', 'All resources successfully discovered'),
    no(
      'NamespaceDeletionGroupVersionParsingFailure',
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ),
    failures.length === 0
      ? no(
          'NamespaceDeletionContentFailure',
          'ContentDeleted',
          'All content successfully deleted, may be waiting on finalization',
        )
      : yes(
          'NamespaceDeletionContentFailure',
          'ContentDeletionFailed',
          `Failed to delete all resource types, ${failures.length} remaining: ${failures.map(messageOf).sort().join(', ')}`,
        ),
    resources.size === 0
      ? no('NamespaceContentRemaining', 'ContentRemoved', 'All content successfully removed')
      : yes(
          'NamespaceContentRemaining',
          'SomeResourcesRemain',
          `Some resources are remaining: ${listed(resources, 'has')}`,
        ),
    finalizers.size === 0
      ? no(
          'NamespaceFinalizersRemaining',
          'ContentHasNoFinalizers',
          'All content-preserving finalizers finished',
        )
      : yes(
          'NamespaceFinalizersRemaining',
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${listed(finalizers, 'in')}`,
        ),
  ];
}

function listed(counts: ReadonlyMap<string, number>, verb: string): string {
  return [...counts]
    .map(([name, count]) => `${name} ${verb} ${count} resource instances`)
    .sort()
    .join(', ');
}

function no(type: string, reason: string, message: string): Condition {
  return { type, status: 'False', reason, message };
}

function yes(type: string, reason: string, message: string): Condition {
  return { type, status: 'True', reason, message };
}

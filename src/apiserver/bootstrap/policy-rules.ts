import type { PolicyRule } from '../../kube/cluster-role.ts';

/* How default roles are written down here: lists as words, printed in the order of the alphabet as upstream does. */

export const READ = 'get list watch';
export const WRITE = 'create delete deletecollection patch update';

const words = (text: string): string[] => text.split(' ').sort();

/** Makes a rule about resources of `groups`; the core group is `core`. */
export function allow(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: words(verbs),
    apiGroups: groups
      .split(' ')
      .map((group) => (group === 'core' ? '' : group))
      .sort(),
    resources: words(resources),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

/** Makes a rule about addresses that are no resources. */
export function allowPaths(verbs: string, paths: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(paths) };
}

/** What everybody needs who tells what they did. */
export const TELL: PolicyRule = allow('create patch update', 'core events.k8s.io', 'events');

import type { Pod } from '../kube/pod.ts';
import { secretsOf } from './pod-secrets.ts';

/** Says what a mirror of a static Pod refers to that it may not; undefined when it is fine (rule 8.5). */
export function mirrorPodViolation(pod: Pod, serviceAccount: string): string | undefined {
  if (serviceAccount !== '') return 'a mirror pod may not reference service accounts';
  if (secretsOf(pod.spec).length > 0) return 'a mirror pod may not reference secrets';
  const projectsToken = (pod.spec.volumes ?? []).some((volume) =>
    (volume.projected?.sources ?? []).some((source) => source.serviceAccountToken != null),
  );
  return projectsToken ? 'a mirror pod may not use ServiceAccountToken volume projections' : undefined;
}

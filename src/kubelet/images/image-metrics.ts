import type { PullPolicy } from '../../kube/pod.ts';
import type { MustPullResult } from './pulled-images.ts';

export type Known = 'true' | 'false' | 'unknown';

/** Told by the image manager what the kubelet counts (section 14). */
export interface ImageManagerMetrics {
  /** A pull succeeded. @param seconds waiting included */
  imagePulled(seconds: number, sizeBytes: number): void;
  imageEnsured(policy: PullPolicy, presentLocally: Known, pullRequired: Known): void;
  mustPullChecked(result: MustPullResult): void;
}

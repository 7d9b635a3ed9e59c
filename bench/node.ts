import type { Bench } from './row.ts';

/** The node: a crowd of Pods, clean-up of many images, an idle agent, and its images over CRI beside containerd's. */
export const bench: Bench = async () => {
  const { decisionRows } = await import('./node-decisions.ts');
  const { crowdRows } = await import('./node-crowd.ts');
  const { cleanUpRows } = await import('./node-clean-up.ts');
  const { idleRows } = await import('./node-idle.ts');
  const { listRows } = await import('./node-images.ts');
  return [
    ...(await decisionRows()),
    ...(await crowdRows()),
    ...(await cleanUpRows()),
    ...(await idleRows()),
    ...(await listRows()),
  ];
};

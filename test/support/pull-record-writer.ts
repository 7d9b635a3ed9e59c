import { systemClock } from '../../src/base/clock.ts';
import { NO_CREDENTIALS } from '../../src/kubelet/images/pull-record.ts';
import { PulledImages } from '../../src/kubelet/images/pulled-images.ts';

/* A process for the crash test: notes pulls below the directory it is given until it is killed. */

const images = await PulledImages.open({
  root: process.argv[2] ?? '',
  policy: 'NeverVerifyPreloadedImages',
  allowlist: [],
  maxPods: 110,
  maxParallelImagePulls: 4,
  clock: systemClock,
  report: (message, error) => {
    throw new Error(message, { cause: error });
  },
});
for (let i = 0; ; i++) {
  const name = `r.example/app-${i % 7}:1`;
  await images.recordIntent(name);
  process.stdout.write(`intent ${name}\n`);
  const secret = { uid: `u${i}`, namespace: 'demo', name: `s${i}`, credentialHash: 'h'.repeat(64) };
  await images.recordPulled(name, `sha256:${i % 7}`, { ...NO_CREDENTIALS, kubernetesSecrets: [secret] });
  process.stdout.write(`pulled ${name}\n`);
}

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explainObject } from '../src/doctor/explain-object.ts';
import type { ExplainSources } from '../src/doctor/explain-sources.ts';
import type { Secret } from '../src/kube/secret.ts';
import { parseManifests } from '../src/kube/decode/parse-manifests.ts';
import { ImageAllowlist } from '../src/kubelet/images/image-allowlist.ts';
import { median, type Bench, type Row } from './row.ts';

const DOCUMENTS = 500;
const SECRETS = 10;
const RUNS = 11;
const STARTS = 7;
const DRAY = fileURLToPath(new URL('../bin/dray.js', import.meta.url));

/** Explaining a long manifest file: reading its YAML, then every image of every Deployment in it. */
export const bench: Bench = async () => {
  const text = manifests();
  return [await libraryRow(text), programRow(text)];
};

async function libraryRow(text: string): Promise<Row> {
  const signal = new AbortController().signal;
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const before = performance.now();
    const objects = parseManifests(text);
    const sources: ExplainSources = {
      description: 'the files given',
      secret: async (namespace, name) => ({ ...secretNamed(name), metadata: { name, namespace } }),
      serviceAccount: async () => undefined,
      verification: { policy: 'NeverVerifyPreloadedImages', allowlist: new ImageAllowlist([]) },
      alwaysPullImages: false,
    };
    let images = 0;
    for (const object of objects) {
      const explained = await explainObject(object, 'default', sources, signal);
      images += explained?.images.length ?? 0;
    }
    if (images !== DOCUMENTS * 2) throw new Error(`Cannot measure: ${images} images were explained`);
    times.push(performance.now() - before);
  }
  return {
    what: `explain of a file with ${DOCUMENTS} Deployments of two images and ${SECRETS} pull secrets each`,
    measured: `${(median(times) / 1000).toFixed(2)} s`,
    target: '< 1 s',
    met: median(times) < 1000,
    note: `the first time: ${((times[0] ?? Number.NaN) / 1000).toFixed(2)} s`,
  };
}

/** The same as people run it: a process from its start to the last line. */
function programRow(text: string): Row {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-bench-'));
  try {
    const file = join(directory, 'manifests.yaml');
    writeFileSync(file, text);
    const times: number[] = [];
    for (let run = 0; run < STARTS; run++) {
      const before = performance.now();
      const ended = spawnSync(process.execPath, [DRAY, 'explain', '--no-node-files', '-f', file], {
        maxBuffer: 64 * 1024 * 1024,
      });
      times.push(performance.now() - before);
      // The pull secrets are not in the file, which is a problem to be told, and so exit code 1.
      if (ended.status !== 1)
        throw new Error(`Cannot measure: ended with ${ended.status}: ${ended.stderr.toString()}`);
    }
    return {
      what: `dray explain -f with the same ${DOCUMENTS} documents, the process from start to end`,
      measured: `${(median(times) / 1000).toFixed(2)} s`,
      target: '< 1 s',
      met: median(times) < 1000,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function secretNamed(name: string): Secret {
  const config = { auths: { [`${name}.example.com`]: { username: 'u', password: 'p' } } };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify(config)).toString('base64') },
  };
}

function manifests(): string {
  const secrets = Array.from({ length: SECRETS }, (_, i) => `{name: r${i}}`).join(', ');
  const documents = Array.from(
    { length: DOCUMENTS },
    (_, i) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-${i}
  labels:
    app: web-${i}
spec:
  replicas: 3
  selector:
    matchLabels:
      app: web-${i}
  template:
    metadata:
      labels:
        app: web-${i}
    spec:
      imagePullSecrets: [${secrets}]
      initContainers:
        - name: init
          image: busybox
          command: [sh, -c, 'echo ready']
      containers:
        - name: app
          image: r${i % SECRETS}.example.com/team/app:v1.${i}
          ports:
            - containerPort: 8080
          env:
            - name: LEVEL
              value: info
          resources:
            requests: {cpu: 100m, memory: 64Mi}
`,
  );
  return documents.join('---\n');
}

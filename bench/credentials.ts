import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCandidates, type NodeEntries } from '../src/credentials/candidates.ts';
import { keyringEntries } from '../src/credentials/keyring.ts';
import type { PullSecret } from '../src/credentials/pull-secrets.ts';
import { publishedPlugin } from '../test/support/published-plugin.ts';
import { median, type Bench, type Row } from './row.ts';

const COUNT = 10_000;
const RUNS = 51;
const STARTS = 21;

/** Candidates among many secrets and entries of the node; start of a cloud plug-in to its answer. */
export const bench: Bench = async () => [...(await candidateRows()), ...(await pluginRows())];

async function candidateRows(): Promise<Row[]> {
  const login = { username: 'u', password: 'p' };
  const secrets = Array.from({ length: COUNT }, (_, i): PullSecret => {
    const config = JSON.stringify({ auths: { [`r${i}.example.com/team`]: login } });
    return {
      metadata: { name: `s${i}`, namespace: 'team-a', uid: `uid-${i}` },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(config).toString('base64') },
    };
  });
  const path = '/var/lib/kubelet/config.json';
  const config = new Map(
    Array.from({ length: COUNT }, (_, i) => [`n${i}.example.com`, { ...login, email: '' }] as const),
  );
  const entries = keyringEntries(config, { kind: 'node-file', path });
  const nodeFiles: NodeEntries = { read: async () => ({ path, entries, trace: [] }) };
  const signal = new AbortController().signal;
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const before = performance.now();
    await findCandidates({ image: `r${COUNT - 1}.example.com/team/app`, secrets, nodeFiles }, signal);
    times.push(performance.now() - before);
  }
  const [first = Number.NaN, ...later] = times;
  return [
    {
      what: `candidates among ${COUNT} secrets and ${COUNT} entries of the node`,
      measured: `${median(later).toFixed(2)} ms`,
      target: '< 5 ms',
      met: median(later) < 5,
      note: `the first time, which decodes every secret: ${first.toFixed(0)} ms`,
    },
  ];
}

async function pluginRows(): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-bench-'));
  const token = Buffer.from('AWS:password').toString('base64');
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.end(
        JSON.stringify({
          authorizationData: [{ authorizationToken: token, expiresAt: Date.now() / 1000 + 43_200 }],
        }),
      );
    });
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const script = await publishedPlugin(directory, 'ecr');
    const environment = {
      HOME: directory,
      AWS_ENDPOINT_URL_ECR: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    };
    const image = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/app';
    const apiVersion = 'credentialprovider.kubelet.k8s.io/v1';
    const input = JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image });
    const empty: number[] = [];
    const plugin: number[] = [];
    for (let start = 0; start < STARTS; start++) {
      empty.push(await time(['-e', '0'], '', environment));
      plugin.push(await time([script], input, environment));
    }
    const ratio = median(plugin) / median(empty);
    return [
      {
        what: 'credential-provider plug-in (ECR, local server), start to answer, beside node -e 0',
        measured: `${ratio.toFixed(2)}×`,
        target: '≤ 3×',
        met: ratio <= 3,
        note: `${median(plugin).toFixed(0)} ms and ${median(empty).toFixed(0)} ms`,
      },
    ];
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function time(args: readonly string[], input: string, env: NodeJS.ProcessEnv): Promise<number> {
  const before = performance.now();
  const child = spawn(process.execPath, [...args], { env, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`Cannot measure ${args.join(' ')}: it ended with ${code}`);
  return performance.now() - before;
}

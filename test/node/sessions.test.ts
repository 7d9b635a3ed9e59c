import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { Container } from '../../src/kube/pod.ts';
import { Kubectl } from '../support/kubectl.ts';
import { findKubectls } from '../support/tools.ts';
import { withNodeSystem, type NodeSystem } from './node-system.ts';

/* Commands in containers, their first processes and their ports, through kubectl: old ones speak SPDY, new ones WebSockets. */

const FOREVER = 'echo it-works; trap "exit 0" TERM; while :; do sleep 0.05; done';
const container = (more: Partial<Container> = {}): Container => ({
  name: 'a',
  image: 'registry.example/tiny:1',
  command: ['/bin/sh', '-c', FOREVER],
  ...more,
});

async function withPod(
  binary: string,
  more: Partial<Container>,
  use: (kubectl: Kubectl, system: NodeSystem) => Promise<void>,
): Promise<void> {
  await withNodeSystem({}, async (system) => {
    await system.createPod('p', { containers: [container(more)] });
    await system.until(
      'p',
      'running',
      (pod) => pod?.status?.containerStatuses?.[0]?.state?.running !== undefined,
    );
    await use(new Kubectl(binary, system), system);
  });
}

/** Starts kubectl and hands out what it says as it says it. */
function start(
  binary: string,
  system: NodeSystem,
  args: string[],
): ChildProcess & { said(words: string): Promise<string> } {
  const child = spawn(binary, args, {
    env: { ...process.env, KUBECONFIG: system.kubeconfig, HOME: '/nonexistent' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const said = async (words: string): Promise<string> => {
    while (!text.includes(words)) {
      assert.equal(child.exitCode, null, `kubectl ended: ${text}`);
      system.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return text;
  };
  return Object.assign(child, { said });
}

const kubectls = findKubectls();
if (kubectls.length === 0) test('sessions through kubectl', { skip: 'needs kubectl' }, () => undefined);

for (const binary of kubectls) {
  describe(`sessions through ${basename(dirname(binary))}/${basename(binary)}`, () => {
    test('exec: output, errors, input, exit code, and a program that is missing', async () => {
      await withPod(binary, {}, async (kubectl) => {
        assert.deepEqual(await kubectl.try(['exec', 'p', '--', '/bin/echo', 'hi']), {
          code: 0,
          stdout: 'hi\n',
          stderr: '',
        });
        const both = await kubectl.try([
          'exec',
          'p',
          '--',
          '/bin/sh',
          '-c',
          'echo out; echo err >&2; exit 3',
        ]);
        assert.equal(both.code, 3);
        assert.equal(both.stdout, 'out\n');
        assert.equal(both.stderr, 'err\ncommand terminated with exit code 3\n');
        const input = 'line\n'.repeat(50_000);
        assert.equal(await kubectl.run(['exec', '-i', 'p', '--', '/bin/cat'], input), input);
        const missing = await kubectl.try(['exec', 'p', '--', '/nosuch']);
        assert.equal(missing.code, 1);
        assert.match(
          missing.stderr,
          /^error: Internal error occurred: (?:Internal error occurred: )?error executing command in container: failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: exec: "\/nosuch": stat \/nosuch: no such file or directory\n$/,
        );
      });
    });

    test('exec: a container that does not run, one that is not there, and one of several', async () => {
      await withNodeSystem({}, async (system) => {
        await system.createPod('two', {
          containers: [
            container(),
            container({ name: 'b', image: 'absent.example/x:1', imagePullPolicy: 'Never' }),
          ],
        });
        await system.until('two', 'half started', (pod) => {
          const [a, b] = pod?.status?.containerStatuses ?? [];
          return a?.state?.running !== undefined && b?.state?.waiting?.reason === 'ErrImageNeverPull';
        });
        const kubectl = new Kubectl(binary, system);
        assert.match(
          (await kubectl.try(['exec', 'two', '-c', 'b', '--', '/bin/true'])).stderr,
          /^error: unable to upgrade connection: container not found \("b"\)\n$/,
        );
        assert.match(
          (await kubectl.try(['exec', 'two', '-c', 'zz', '--', '/bin/true'])).stderr,
          /container zz is not valid for pod two/,
        );
        assert.match(
          (await kubectl.try(['exec', 'gone', '--', '/bin/true'])).stderr,
          /pods "gone" not found/,
        );
        const sh = ['/bin/sh', '-c', 'exit 0'];
        assert.equal((await kubectl.try(['exec', 'two', '-c', 'a', '--', ...sh])).code, 0);
        // A node may read Pods and must not open sessions, neither by POST nor by a WebSocket's GET.
        const refused = await kubectl.try(['--token=n1-token', 'exec', 'two', '-c', 'a', '--', ...sh]);
        assert.match(
          refused.stderr,
          /^Error from server \(Forbidden\): pods "two" is forbidden: User "system:node:n1" cannot \w+ resource "pods\/exec" in API group "" in the namespace "default"/,
        );
      });
    });

    test('attach sees what comes and feeds what is taken; then ends', async () => {
      const script = 'while read -r line; do echo "got $line"; done; echo bye';
      await withPod(
        binary,
        { stdin: true, stdinOnce: true, command: ['/bin/sh', '-c', script] },
        async (_kubectl, system) => {
          const child = start(binary, system, ['attach', '-i', 'p', '-c', 'a']);
          child.stdin?.write('one\n');
          await child.said('got one');
          child.stdin?.end('two\n');
          await child.said('got two');
          await child.said('bye');
          if (child.exitCode === null) await once(child, 'exit');
        },
      );
    });

    test('exec with a terminal', async () => {
      await withPod(binary, {}, async (_kubectl, system) => {
        const script = '[ -t 0 ] && [ -t 1 ] && echo terminal; read -r line; echo "got $line"; exit 4';
        const child = start(binary, system, ['exec', '-i', '--tty', 'p', '--', '/bin/sh', '-c', script]);
        // kubectl sees that its own input is none, and asks for no terminal then.
        child.stdin?.write('hello\n');
        await child.said('got hello');
        if (child.exitCode === null) await once(child, 'exit');
        assert.equal(child.exitCode, 4);
      });
    });

    test('cp needs tar in the container, and says so', async () => {
      await withPod(binary, {}, async (kubectl) => {
        const directory = await mkdtemp(join(tmpdir(), 'drayage-cp-'));
        try {
          await writeFile(join(directory, 'file'), 'text');
          const outcome = await kubectl.try(['cp', join(directory, 'file'), 'p:/tmp/file']);
          assert.notEqual(outcome.code, 0);
          assert.match(outcome.stderr, /exec: "tar": executable file not found in \$PATH/);
        } finally {
          await rm(directory, { recursive: true, force: true });
        }
      });
    });

    test('port-forward carries connections to the Pod’s ports, also several at once', async () => {
      const echo = createServer((socket) => socket.pipe(socket));
      echo.listen(0, '127.0.0.1');
      await once(echo, 'listening');
      const { port } = echo.address() as AddressInfo;
      try {
        await withPod(binary, {}, async (_kubectl, system) => {
          const child = start(binary, system, ['port-forward', 'p', `:${port}`]);
          const text = await child.said('Forwarding from 127.0.0.1:');
          const local = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
          const big = 'x'.repeat(500_000);
          const answers = await Promise.all(
            ['a', 'b', 'c'].map(async (name) => {
              const socket = connect(local, '127.0.0.1');
              socket.end(`${name}${big}`);
              let answer = '';
              for await (const chunk of socket) answer += String(chunk);
              return answer;
            }),
          );
          assert.deepEqual(
            answers,
            ['a', 'b', 'c'].map((name) => `${name}${big}`),
          );
          child.kill();
          if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        });
      } finally {
        echo.close();
      }
    });

    test('port-forward tells of a port at which nobody listens', async () => {
      await withPod(binary, {}, async (_kubectl, system) => {
        const child = start(binary, system, ['port-forward', 'p', ':1']);
        const text = await child.said('Forwarding from 127.0.0.1:');
        const local = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
        const socket = connect(local, '127.0.0.1');
        socket.on('error', () => undefined);
        await child.said('connection refused');
        socket.destroy();
        child.kill();
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      });
    });
  });
}

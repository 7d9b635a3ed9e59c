import { createLocalRuntime } from '../../src/runtime/local-runtime.ts';
import { CopyRootfs, oneImage } from '../../src/runtime/_tiny-root.ts';

/* An agent that starts one container, says its ID and then does nothing until it is killed. Arguments: root, rootfs source, command. */

const [root = '', source = '', rootfs = '', logs = '', ...command] = process.argv.slice(2);
const signal = new AbortController().signal;
const runtime = await createLocalRuntime(
  { root, rootfs: new CopyRootfs(source, rootfs), images: oneImage({}) },
  signal,
);
const sandbox = await runtime.runPodSandbox(
  {
    name: 'p',
    uid: 'u',
    namespace: 'd',
    attempt: 0,
    hostname: 'p',
    logDirectory: logs,
    labels: {},
    annotations: {},
  },
  signal,
);
const id = await runtime.createContainer(
  sandbox,
  {
    name: 'a',
    attempt: 0,
    userSpecifiedImage: 'i',
    imageRef: 'i',
    command,
    args: [],
    workingDir: '',
    env: [],
    mounts: [],
    labels: {},
    annotations: {},
    logPath: 'a/0.log',
    stdin: false,
    tty: false,
  },
  signal,
);
process.stdout.write(`${id}\n`);
await runtime.startContainer(id, signal);
process.stdout.write('started\n');
setInterval(() => undefined, 1000);

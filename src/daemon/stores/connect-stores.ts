import { isSystemError } from '../../base/coded-error.ts';
import type { PulledImage, PullImageRequest } from '../../pull/pull-image.ts';
import type { PullProgress } from '../../pull/progress.ts';
import type { RemoteClient } from '../../remote/remote-client.ts';
import { HolderClient, holderGone } from './_ask-holder.ts';
import { heldContent } from './_held-content.ts';
import { socketPathOf } from './_socket-path.ts';
import type { ImageRecords, ImageStores } from './image-stores.ts';
import type { PullAsk, PullLine, SessionLine } from './store-calls.ts';
import { StoreError } from './store-error.ts';
import { fromWireError } from './wire-error.ts';

/** How this process reaches registries: what the holder needs in order to pull in its place. */
export type Reach = Pick<PullAsk, 'hostRoots' | 'insecureRegistries' | 'proxies' | 'bytesPerSecond'>;

/** Stores of a root that another process holds. */
export interface HeldStores extends ImageStores {
  close(): Promise<void>;
}

/**
 * Connects to the process that holds a root.
 *
 * @returns undefined when it does not serve its stores
 */
export async function connectStores(
  root: string,
  remote: RemoteClient,
  reach: Reach,
): Promise<HeldStores | undefined> {
  const socket = await socketPathOf(root);
  const holder = new HolderClient(socket.path);
  const leaving = new AbortController();
  const close = async (): Promise<void> => {
    leaving.abort(new StoreError('HOLDER_GONE', 'the session was closed'));
    holder.close();
    await socket.close();
  };
  const session = holder.lines({ method: 'POST', path: '/v1/sessions' }, leaving.signal);
  try {
    const first = await session.next();
    if (first.done === true) throw new StoreError('HOLDER_GONE', 'the process that holds the root is ending');
    holder.session = (first.value as SessionLine).session;
  } catch (error) {
    await close();
    if (isAbsent(error)) return undefined;
    throw error;
  }
  return {
    content: heldContent(holder),
    images: heldRecords(holder),
    remote,
    pull: (request) => pull(holder, reach, request),
    collect: (options, signal) => holder.call('collect', options, signal),
    forecastImageGc: async (signal) => (await holder.call('images.forecastGc', {}, signal)) ?? undefined,
    close,
  };
}

/**
 * Yields where the parts of all pulls of the process that holds a root are: first all, then each change, until `signal` aborts.
 *
 * @returns at once when nobody holds the root and serves it
 */
export async function* watchPulls(root: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
  const socket = await socketPathOf(root);
  const holder = new HolderClient(socket.path);
  try {
    for await (const line of holder.lines({ method: 'GET', path: '/v1/pulls' }, signal))
      yield (line as { progress: PullProgress }).progress;
  } catch (error) {
    const gone = error instanceof StoreError && error.code === 'HOLDER_GONE';
    if (!gone && !signal.aborted) throw error;
  } finally {
    holder.close();
    await socket.close();
  }
}

/** Nobody listens: the holder has no socket, or has just gone. */
function isAbsent(error: unknown): boolean {
  if (!(error instanceof StoreError) || error.code !== 'HOLDER_GONE') return false;
  const { cause } = error;
  return cause === undefined || isSystemError(cause, 'ENOENT') || isSystemError(cause, 'ECONNREFUSED');
}

function heldRecords(holder: HolderClient): ImageRecords {
  return {
    list: () => holder.call('images.list', {}),
    find: async (name) => (await holder.call('images.find', { name })) ?? undefined,
    names: () => holder.call('images.names', {}),
    put: async (image, names) => void (await holder.call('images.put', { image, names })),
    tag: async (existing, name) => void (await holder.call('images.tag', { existing, name })),
    removeName: (name) => holder.call('images.removeName', { name }),
    removeImage: (id) => holder.call('images.removeImage', { id }),
    lease: async (reason) => {
      const lease = await holder.call('leases.make', { reason });
      return {
        id: lease,
        add: async (digest) => void (await holder.call('leases.add', { lease, digest })),
        release: async () => void (await holder.call('leases.release', { lease })),
      };
    },
  };
}

async function pull(holder: HolderClient, reach: Reach, request: PullImageRequest): Promise<PulledImage> {
  const { reference, platform, credentials, onProgress, signal } = request;
  const ask: PullAsk = { reference, ...(platform === undefined ? {} : { platform }), ...reach };
  const question = { method: 'POST', path: '/v1/pulls', body: JSON.stringify(ask) } as const;
  for await (const each of holder.lines(question, signal)) {
    const line = each as PullLine;
    if ('progress' in line) onProgress?.(line.progress);
    else if ('answer' in line) return line.answer;
    else if ('error' in line) throw fromWireError(line.error);
    else {
      const { id, host, repository } = line.credential;
      const credential = (await credentials?.(host, repository)) ?? null;
      await holder.call('pulls.credential', { id, credential }, signal);
    }
  }
  signal.throwIfAborted();
  throw holderGone(new Error('its answer ended'));
}

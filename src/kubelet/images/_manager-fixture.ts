import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../base/manual-clock.ts';
import type { TraceStep } from '../../base/trace.ts';
import type { Candidate } from '../../credentials/keyring.ts';
import type { Pod, PullPolicy } from '../../kube/pod.ts';
import type { AuthConfig, Image, ImageService, ImageSpec } from '../../pull/image-service.ts';
import type { EnsureImageResult, EventObject } from '../ensure-image.ts';
import { NodeImageManager, type NodeImageManagerOptions } from './image-manager.ts';
import { PulledImages } from './pulled-images.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from './settings.ts';

/** A runtime in memory for tests: images by name, and a script of what pulls cost and refuse. */
export class MemoryRuntime implements ImageService {
  readonly images = new Map<string, Image>();
  readonly pulls: { spec: ImageSpec; auth: AuthConfig | undefined }[] = [];
  readonly looks: ImageSpec[] = [];
  /** Decides about a pull: returns the image or throws. */
  onPull: (spec: ImageSpec, auth: AuthConfig | undefined, signal: AbortSignal) => Promise<Image> = (spec) =>
    Promise.resolve(imageOf(spec.image));
  onStatus: (spec: ImageSpec) => Promise<Image | undefined> = (spec) =>
    Promise.resolve(this.images.get(spec.image));

  listImages(): Promise<Image[]> {
    return Promise.resolve([...new Set(this.images.values())]);
  }

  imageStatus(spec: ImageSpec): Promise<Image | undefined> {
    this.looks.push(spec);
    return this.onStatus(spec);
  }

  async pullImage(spec: ImageSpec, auth: AuthConfig | undefined, signal: AbortSignal): Promise<string> {
    this.pulls.push({ spec, auth });
    const image = await this.onPull(spec, auth, signal);
    this.images.set(spec.image, image);
    return image.id;
  }

  removeImage(spec: ImageSpec): Promise<void> {
    for (const [name, image] of this.images) if (image.id === spec.image) this.images.delete(name);
    return Promise.resolve();
  }

  imageFsInfo(): Promise<{ imageFilesystems: []; containerFilesystems: [] }> {
    return Promise.resolve({ imageFilesystems: [], containerFilesystems: [] });
  }
}

export function imageOf(name: string, size = 1_032_727): Image {
  return { id: `sha256:id-of-${name}`, repoTags: [name], repoDigests: [], size, pinned: false };
}

export function podNamed(name: string, uid = `uid-of-${name}`): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', uid, annotations: { team: 'a' } },
    spec: { containers: [{ name: 'a' }] },
  };
}

export function secretCandidate(name: string, password = 'p', uid = `uid-${name}`): Candidate {
  return {
    username: 'u',
    password,
    email: '',
    key: 'registry.example',
    source: { kind: 'secret', namespace: 'demo', name, uid },
  };
}

export interface RecordedEvent {
  readonly object: EventObject;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** A manager with everything around it; `close` removes its directory. */
export interface Bench {
  readonly root: string;
  readonly clock: ManualClock;
  readonly runtime: MemoryRuntime;
  readonly events: RecordedEvent[];
  readonly manager: NodeImageManager;
  readonly records: PulledImages;
  readonly traces: TraceStep[][];
  readonly counted: string[];
  candidates: () => Promise<readonly Candidate[]>;
  readonly lookups: string[];
  /** `type reason message` of the events since the last call. */
  said(): string[];
  ensure(pod: Pod, image: string, pullPolicy: PullPolicy): Promise<EnsureImageResult>;
  close(): Promise<void>;
}

export async function openBench(
  settings: Partial<ImageSettings> = {},
  options: Partial<NodeImageManagerOptions> = {},
  /** The directory of a bench before: what it wrote is found again, as after a restart. */
  before?: string,
): Promise<Bench> {
  const root = before ?? (await mkdtemp(join(tmpdir(), 'drayage-images-')));
  const all = { ...DEFAULT_IMAGE_SETTINGS, ...settings };
  const clock = new ManualClock(Date.parse('2026-01-02T03:04:05Z'));
  const runtime = new MemoryRuntime();
  const events: RecordedEvent[] = [];
  const records = await PulledImages.open({
    root,
    policy: all.verificationPolicy,
    allowlist: all.verificationAllowlist,
    maxPods: all.maxPods,
    maxParallelImagePulls: all.maxParallelImagePulls,
    clock,
    report: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
  let seen = 0;
  const traces: TraceStep[][] = [];
  const lookups: string[] = [];
  const counted: string[] = [];
  const manager = new NodeImageManager({
    imageService: runtime,
    candidates: {
      candidates: (_pod, repository) => {
        lookups.push(repository);
        return bench.candidates();
      },
    },
    records: all.verifyPulledImages ? records : undefined,
    recorder: { event: (object, type, reason, message) => events.push({ object, type, reason, message }) },
    clock,
    settings: all,
    signal: new AbortController().signal,
    onDecision: (_request, trace) => traces.push([...trace]),
    metrics: {
      imagePulled: (seconds, size) => counted.push(`pulled ${seconds} ${size}`),
      imageEnsured: (policy, here, pull) => counted.push(`ensured ${policy} ${here} ${pull}`),
      mustPullChecked: (result) => counted.push(`checked ${result}`),
    },
    ...options,
  });
  const bench: Bench = {
    root,
    clock,
    runtime,
    events,
    manager,
    records,
    traces,
    counted,
    lookups,
    candidates: () => Promise.resolve([]),
    said: () => {
      const fresh = events.slice(seen).map((e) => `${e.type} ${e.reason} ${e.message}`);
      seen = events.length;
      return fresh;
    },
    ensure: (pod, image, pullPolicy) =>
      manager.ensureImage(
        { pod, image, pullPolicy, fieldPath: 'spec.containers{a}' },
        new AbortController().signal,
      ),
    close: () => rm(root, { recursive: true, force: true }),
  };
  return bench;
}

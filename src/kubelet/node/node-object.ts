import { ENDPOINT_AUTHORITY } from '../../kube/client/kubelet-endpoint.ts';
import { formatTime } from '../../kube/time.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Taint } from '../../kube/scheduling/taints.ts';
import type { Platform } from '../../oci/platform.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { NodeImage } from './node-images.ts';

/** Version of Kubernetes whose node behaviour this is. */
export const KUBELET_VERSION = 'v1.36.2';

/** Pods that a node takes, and memory and storage that are kept back. The kubelet's defaults. */
const MAX_PODS = 110;
const RESERVED_MEMORY_BYTES = 100 * 1024 * 1024;
const RESERVED_STORAGE = Math.fround(0.1);

export interface NodeCondition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export interface NodeStatus {
  capacity?: Record<string, string>;
  allocatable?: Record<string, string>;
  conditions?: NodeCondition[];
  addresses?: { type: string; address: string }[];
  daemonEndpoints?: { kubeletEndpoint: { Port: number } };
  nodeInfo?: Record<string, string>;
  images?: NodeImage[];
  runtimeHandlers?: object[];
  features?: object;
}

export interface NodeObject extends KubeObject {
  spec?: { taints?: Taint[]; unschedulable?: boolean; [other: string]: unknown };
  status?: NodeStatus;
}

/** What the agent knows about its node at one moment. */
export interface NodeFacts {
  readonly name: string;
  readonly platform: Platform;
  readonly address: string;
  readonly port: number;
  readonly machine: MachineFacts;
  readonly runtimeVersion: string;
  readonly images: readonly NodeImage[];
  /** 110 when absent. */
  readonly maxPods?: number | undefined;
  /** What hard eviction keeps free, in bytes; Kubernetes' defaults where absent. */
  readonly reserved?: { readonly memory?: number | undefined; readonly storage?: number | undefined };
  /** Who signed the certificate of the node's endpoint, where that is not the cluster's authority. */
  readonly endpointAuthority?: string | undefined;
  readonly pressures: { readonly memory: boolean; readonly disk: boolean; readonly pid: boolean };
  /** Why the node cannot run Pods; undefined when it can. */
  readonly notReady?: string;
  readonly now: number;
}

/** Builds a Node as a kubelet registers it. */
export function newNode(facts: NodeFacts): NodeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: facts.name,
      labels: nodeLabels(facts),
      annotations: {
        'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
        ...endpointAnnotation(facts),
      },
    },
    spec: {},
    status: nodeStatus(facts, undefined),
  };
}

/** Returns the labels that the kubelet keeps on its Node. */
export function nodeLabels(facts: Pick<NodeFacts, 'name' | 'platform'>): Record<string, string> {
  const { os, architecture } = facts.platform;
  return {
    'beta.kubernetes.io/arch': architecture,
    'beta.kubernetes.io/os': os,
    'kubernetes.io/arch': architecture,
    'kubernetes.io/hostname': facts.name,
    'kubernetes.io/os': os,
  };
}

/** Says whom to believe when the endpoint is asked. */
export function endpointAnnotation({ endpointAuthority }: NodeFacts): Record<string, string> {
  return endpointAuthority === undefined ? {} : { [ENDPOINT_AUTHORITY]: endpointAuthority };
}

/** Builds the status; times of conditions that have not changed are taken from `before`. */
export function nodeStatus(facts: NodeFacts, before: NodeStatus | undefined): NodeStatus {
  const { machine } = facts;
  const storageKept = facts.reserved?.storage ?? Math.trunc(machine.storageBytes * RESERVED_STORAGE);
  const memoryKept = facts.reserved?.memory ?? RESERVED_MEMORY_BYTES;
  const shared = {
    cpu: String(machine.cpus),
    ...Object.fromEntries(
      [...machine.hugePages].map(([size, bytes]) => [`hugepages-${size}`, quantity(bytes)]),
    ),
    pods: String(facts.maxPods ?? MAX_PODS),
  };
  return {
    capacity: {
      ...shared,
      'ephemeral-storage': quantity(machine.storageBytes),
      memory: quantity(machine.memoryBytes),
    },
    allocatable: {
      ...shared,
      'ephemeral-storage': String(Math.max(0, machine.storageBytes - storageKept)),
      memory: quantity(Math.max(0, machine.memoryBytes - memoryKept)),
    },
    conditions: nodeConditions(facts, before?.conditions ?? []),
    addresses: [
      { type: 'InternalIP', address: facts.address },
      { type: 'Hostname', address: facts.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: facts.port } },
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: facts.runtimeVersion,
      kubeletVersion: KUBELET_VERSION,
      kubeProxyVersion: '',
      operatingSystem: facts.platform.os,
      architecture: facts.platform.architecture,
    },
    images: [...facts.images],
    runtimeHandlers: [{ name: '', features: { recursiveReadOnlyMounts: false, userNamespaces: false } }],
    features: { supplementalGroupsPolicy: false },
  };
}

function nodeConditions(facts: NodeFacts, before: readonly NodeCondition[]): NodeCondition[] {
  const { memory, disk, pid } = facts.pressures;
  const answers: [string, boolean, string, string][] = [
    memory
      ? ['MemoryPressure', true, 'KubeletHasInsufficientMemory', 'kubelet has insufficient memory available']
      : ['MemoryPressure', false, 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    disk
      ? ['DiskPressure', true, 'KubeletHasDiskPressure', 'kubelet has disk pressure']
      : ['DiskPressure', false, 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    pid
      ? ['PIDPressure', true, 'KubeletHasInsufficientPID', 'kubelet has insufficient PID available']
      : ['PIDPressure', false, 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    facts.notReady === undefined
      ? ['Ready', true, 'KubeletReady', 'kubelet is posting ready status']
      : ['Ready', false, 'KubeletNotReady', facts.notReady],
  ];
  const now = formatTime(facts.now);
  return answers.map(([type, value, reason, message]) => {
    const status = value ? 'True' : 'False';
    const old = before.find((condition) => condition.type === type);
    const since = old?.status === status ? old.lastTransitionTime : undefined;
    return { type, status, lastHeartbeatTime: now, lastTransitionTime: since ?? now, reason, message };
  });
}

/** Prints bytes as the kubelet does: whole KiB where they are, else plain. */
function quantity(bytes: number): string {
  if (bytes === 0) return '0';
  return bytes % 1024 === 0 ? `${bytes / 1024}Ki` : String(bytes);
}

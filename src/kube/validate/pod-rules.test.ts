import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFrom } from '../fixtures/create-object.ts';
import { findKind } from '../resources.ts';
import { StatusError } from '../status.ts';

/* What Kubernetes 1.36 says of descriptions that break one rule each; the path of the description is `spec`. */

type Row = readonly [name: string, spec: object, findings: readonly string[]];

function findings(spec: object, kind = 'Pod'): string[] {
  const resource = findKind('v1', kind);
  assert.ok(resource !== undefined);
  const containers = [{ name: 'a', image: 'x:1' }];
  const body = { apiVersion: 'v1', kind, metadata: { name: 'p' }, spec: { containers, ...spec } };
  try {
    createFrom(body, resource);
    return [];
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const causes = error.status.details?.causes ?? [];
    return causes.map((cause) => `${cause.field}: ${cause.message}`);
  }
}

const one = (rest: object, more: object = {}): object => ({
  containers: [{ name: 'a', image: 'x:1', ...rest }],
  ...more,
});
const label = "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const C = 'spec.containers[0]';

const containerRows: readonly Row[] = [
  [
    'a message policy',
    one({ terminationMessagePolicy: 'Log' }),
    [
      `${C}.terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"`,
    ],
  ],
  [
    'a field that no variable shows',
    one({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.phase' } } }] }),
    [
      `${C}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", ` +
        '"metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", ' +
        '"status.hostIPs", "status.podIP", "status.podIPs"',
    ],
  ],
  [
    'a field that there is not',
    one({ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.nosuch' } } }] }),
    [
      `${C}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nosuch": error converting fieldPath: ` +
        'field label not supported: spec.nosuch',
    ],
  ],
  [
    'a divisor for processors',
    one({ env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } } }] }),
    [
      `${C}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are ` +
        'supported with the cpu resource',
    ],
  ],
  [
    'a source of variables that says nothing',
    one({ envFrom: [{}] }),
    [`${C}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``],
  ],
  [
    'a resource without a domain',
    one({ resources: { limits: { gpu: '1' } } }),
    [
      `${C}.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified`,
      `${C}.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers`,
      `${C}.resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified`,
      `${C}.resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers`,
    ],
  ],
  [
    'a device without a limit',
    one({ resources: { requests: { 'example.com/gpu': '1' } } }),
    [`${C}.resources.limits: Required value: Limit must be set for non overcommitable resources`],
  ],
  [
    'fewer devices asked for than allowed',
    one({ resources: { requests: { 'example.com/gpu': '1' }, limits: { 'example.com/gpu': '2' } } }),
    [`${C}.resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2`],
  ],
  [
    'huge pages alone',
    one({ resources: { limits: { 'hugepages-2Mi': '2Mi' } } }),
    [`${C}.resources: Forbidden: HugePages require cpu or memory`],
  ],
  [
    'a negative request',
    one({ resources: { requests: { cpu: '-1' } } }),
    [`${C}.resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`],
  ],
  [
    'a user below zero',
    one({ securityContext: { runAsUser: -1 } }),
    [`${C}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive`],
  ],
  [
    'a seccomp profile without a file',
    one({ securityContext: { seccompProfile: { type: 'Localhost' } } }),
    [
      `${C}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`,
    ],
  ],
  [
    'privileges that may not grow, and all of them',
    one({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
    [
      `${C}.securityContext: Invalid value: {"Capabilities":null,"Privileged":true,"SELinuxOptions":null,` +
        '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,' +
        '"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set ' +
        '`allowPrivilegeEscalation` to false and `privileged` to true',
    ],
  ],
  [
    'propagation out of an ordinary container',
    one(
      { volumeMounts: [{ name: 'v', mountPath: '/v', mountPropagation: 'Bidirectional' }] },
      { volumes: [{ name: 'v', emptyDir: {} }] },
    ),
    [
      `${C}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
    ],
  ],
  [
    'a sub path that leaves its volume',
    one(
      { volumeMounts: [{ name: 'v', mountPath: '/v', subPath: '../x' }] },
      { volumes: [{ name: 'v', emptyDir: {} }] },
    ),
    [`${C}.volumeMounts.subPath: Invalid value: "../x": must not contain '..'`],
  ],
  [
    'a device that is a directory',
    one({ volumeDevices: [{ name: 'v', devicePath: '/dev/v' }] }, { volumes: [{ name: 'v', emptyDir: {} }] }),
    [
      `${C}.volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
    ],
  ],
  [
    'a hook that sleeps longer than the Pod may',
    one({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
    [
      `${C}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)`,
    ],
  ],
  [
    'a header with a colon',
    one({ livenessProbe: { httpGet: { path: '/', port: 80, httpHeaders: [{ name: 'a:', value: 'b' }] } } }),
    [
      `${C}.livenessProbe.httpGet.httpHeaders: Invalid value: "a:": a valid HTTP header must consist of alphanumeric ` +
        "characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
    ],
  ],
  [
    'a readiness probe with a period of grace',
    one({ readinessProbe: { exec: { command: ['x'] }, terminationGracePeriodSeconds: 3 } }),
    [
      `${C}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for readinessProbes`,
    ],
  ],
  [
    'an init container that never ends nor is a sidecar',
    { initContainers: [{ name: 'i', image: 'x', livenessProbe: { exec: { command: ['x'] } } }] },
    [
      'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
    ],
  ],
  [
    'a resize policy in a Pod that never restarts',
    one(
      { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] },
      { restartPolicy: 'Never' },
    ),
    [
      `${C}.resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when \`restartPolicy\` is 'Never'`,
    ],
  ],
];

const podRows: readonly Row[] = [
  [
    'a DNS policy',
    { dnsPolicy: 'Mine' },
    [
      'spec.dnsPolicy: Unsupported value: "Mine": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
    ],
  ],
  [
    'no resolver at all',
    { dnsPolicy: 'None' },
    ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None'],
  ],
  [
    'a name server that is a name',
    { dnsConfig: { nameservers: ['ns.example'] } },
    [
      'spec.dnsConfig.nameservers[0]: Invalid value: "ns.example": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ],
  [
    'a toleration of everything that names a value',
    { tolerations: [{ operator: 'Exists', value: 'x' }] },
    ['spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\''],
  ],
  [
    'a toleration of an unknown effect',
    { tolerations: [{ key: 'a', operator: 'Exists', effect: 'Nope' }] },
    [
      'spec.tolerations[0].effect: Unsupported value: "Nope": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    'a bound for all of time with the wrong effect',
    { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 1 }] },
    [
      'spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when `tolerationSeconds` is set',
    ],
  ],
  [
    'spreading that nothing decides',
    { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: '', whenUnsatisfiable: 'Maybe' }] },
    [
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
      'spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty',
      'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"',
    ],
  ],
  [
    'a weight of nothing',
    {
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 0, podAffinityTerm: { topologyKey: 'a' } },
          ],
        },
      },
    },
    [
      'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100',
    ],
  ],
  [
    'a node field that nodes are not chosen by',
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.uid', operator: 'In', values: ['x'] }] }],
          },
        },
      },
    },
    [
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: ' +
        'Invalid value: "metadata.uid": not a valid field selector key',
    ],
  ],
  [
    'a gate twice',
    { schedulingGates: [{ name: 'a.b/c' }, { name: 'a.b/c' }] },
    ['spec.schedulingGates[1]: Duplicate value: "a.b/c"'],
  ],
  [
    'a readiness gate',
    { readinessGates: [{ conditionType: 'a b' }] },
    [
      `spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', ${label}`,
    ],
  ],
  [
    'a host alias',
    { hostAliases: [{ ip: 'x', hostnames: ['a'] }] },
    [
      'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ],
  [
    'users of its own and the network of the machine',
    { hostUsers: false, hostNetwork: true, hostPID: true },
    [
      'spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false',
      'spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false',
    ],
  ],
  [
    'a sysctl twice',
    {
      securityContext: {
        sysctls: [
          { name: 'a.b', value: '1' },
          { name: 'a.b', value: '2' },
        ],
      },
    },
    ['spec.securityContext.sysctls[1].name: Duplicate value: "a.b"'],
  ],
  [
    'a group change policy',
    { securityContext: { fsGroupChangePolicy: 'Never' } },
    [
      'spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',
    ],
  ],
  [
    'an operating system',
    { os: { name: 'plan9' } },
    ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'],
  ],
  [
    'an operating system and the settings of another',
    { os: { name: 'windows' }, securityContext: { runAsUser: 1 } },
    ['spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod'],
  ],
  [
    'a preemption policy',
    { preemptionPolicy: 'Sometimes' },
    [
      'spec.preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"',
    ],
  ],
  [
    'a node and a gate before it',
    { nodeName: 'n1', schedulingGates: [{ name: 'a.b/c' }] },
    ['spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared'],
  ],
  [
    'less for the Pod than for its container',
    one({ resources: { requests: { cpu: '2' } } }, { resources: { requests: { cpu: '1' } } }),
    [
      'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2',
    ],
  ],
  [
    'a claim that names nothing',
    { resourceClaims: [{ name: 'c' }] },
    [
      'spec.resourceClaims[0]: Invalid value: {"Name":"c","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
    ],
  ],
];

const volume = (source: object): object => ({ volumes: [{ name: 'v', ...source }] });
const volumeRows: readonly Row[] = [
  [
    'two sources',
    volume({ emptyDir: {}, hostPath: { path: '/x' } }),
    ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
  ],
  [
    'a kind of path',
    volume({ hostPath: { path: '/x', type: 'Dir' } }),
    [
      'spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ],
  ],
  [
    'a size below nothing',
    volume({ emptyDir: { sizeLimit: '-1' } }),
    ['spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity'],
  ],
  [
    'a mode',
    volume({ configMap: { name: 'c', defaultMode: 512 } }),
    [
      'spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
    ],
  ],
  [
    'a file that is not below',
    volume({ secret: { secretName: 's', items: [{ key: 'k', path: '/etc' }] } }),
    ['spec.volumes[0].secret.items[0].path: Invalid value: "/etc": must be a relative path'],
  ],
  [
    'a field that no file shows',
    volume({ downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'status.podIP' } }] } }),
    [
      'spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"',
    ],
  ],
  [
    'a token that ends at once',
    {
      serviceAccountName: 'default',
      ...volume({ projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 1 } }] } }),
    },
    [
      'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes',
    ],
  ],
  [
    'two files of one name',
    volume({
      projected: {
        sources: [
          { secret: { name: 's', items: [{ key: 'a', path: 'f' }] } },
          { configMap: { name: 'c', items: [{ key: 'a', path: 'f' }] } },
        ],
      },
    }),
    ['spec.volumes[0].projected: Invalid value: "c": conflicting duplicate paths'],
  ],
  [
    'a share without a server',
    volume({ nfs: { server: '', path: 'x' } }),
    [
      'spec.volumes[0].nfs.server: Required value',
      'spec.volumes[0].nfs.path: Invalid value: "x": must be an absolute path',
    ],
  ],
  [
    'a claim made for the Pod that asks for nothing',
    volume({ ephemeral: { volumeClaimTemplate: { spec: { accessModes: ['ReadWriteOnce'] } } } }),
    ['spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value'],
  ],
  [
    'a driver without a name',
    volume({ csi: { driver: '' } }),
    [
      'spec.volumes[0].csi.driver: Required value',
      "spec.volumes[0].csi.driver: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ],
  ],
];

for (const [subject, rows] of [
  ['container', containerRows],
  ['Pod', podRows],
  ['volume', volumeRows],
] as const) {
  for (const [name, spec, expected] of rows) {
    test(`of a ${subject}, ${name} is told as Kubernetes tells it`, () => {
      assert.deepEqual(findings(spec), expected);
    });
  }
}

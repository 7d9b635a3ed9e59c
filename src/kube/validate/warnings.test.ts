import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warningsFor } from './warnings.ts';

const pod = (spec: object, annotations: Record<string, string> = {}): Record<string, unknown> => ({
  metadata: { name: 'p', annotations },
  spec: { containers: [{ name: 'a', image: 'x' }], ...spec },
});
const ports = (...list: object[]): object => ({ containers: [{ name: 'a', ports: list }] });
const udp = { containerPort: 80, protocol: 'UDP' };

const volumes = (...list: object[]): object => ({ volumes: list });
const NEEDED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const NO_LABEL =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
  "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const rows: readonly (readonly [string, Record<string, unknown>, string[]])[] = [
  [
    'an old node label',
    pod({ nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }),
    ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
  [
    'an annotation for seccomp',
    pod({}, { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' }),
    [
      'metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
    ],
  ],
  [
    'a spread that finds nothing',
    pod({ topologySpreadConstraints: [{ topologyKey: 'a' }] }),
    ['spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod'],
  ],
  [
    'a port of one address and of all',
    pod(ports({ ...udp, hostPort: 80, hostIP: '10.0.0.1' }, { ...udp, hostPort: 80 })),
    ['spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]'],
  ],
  [
    'a port with and without the host',
    pod(ports({ ...udp, hostPort: 80 }, udp)),
    ['spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]'],
  ],
  [
    'an address without a port',
    pod(ports({ ...udp, hostIP: '10.0.0.1' })),
    [
      'spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:UDP HostIP:10.0.0.1}',
    ],
  ],
  [
    'a variable set to itself',
    pod({
      containers: [
        {
          name: 'a',
          env: [
            { name: 'A', value: '1' },
            { name: 'A', value: '$(A)' },
          ],
        },
      ],
    }),
    ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
  ],
  [
    'a variable built from itself',
    pod({
      containers: [
        {
          name: 'a',
          env: [
            { name: 'A', value: '1' },
            { name: 'A', value: '$(A):2' },
          ],
        },
      ],
    }),
    [],
  ],
  [
    'a volume that nothing fills any more',
    pod({ volumes: [{ name: 'v', gitRepo: { repository: 'r' } }] }),
    ['spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+'],
  ],
  [
    'parts of bytes',
    pod({ containers: [{ name: 'a', resources: { limits: { 'ephemeral-storage': '1500m' } } }] }),
    [
      'spec.containers[0].resources.limits[ephemeral-storage]: fractional byte value "1500m" is invalid, must be an integer',
    ],
  ],
  [
    'the older role of a node',
    pod({
      nodeSelector: { 'node-role.kubernetes.io/master': '' },
      affinity: {
        nodeAffinity: {
          [PREFERRED]: [
            {
              weight: 1,
              preference: {
                matchExpressions: [
                  { key: 'node-role.kubernetes.io/master', operator: 'In', values: ['a b', 'ok'] },
                ],
              },
            },
          ],
        },
      },
    }),
    [
      'spec.nodeSelector[node-role.kubernetes.io/master]: use "node-role.kubernetes.io/control-plane" instead',
      `spec.affinity.nodeAffinity.${PREFERRED}[0].preference.matchExpressions[0].key: node-role.kubernetes.io/master is use "node-role.kubernetes.io/control-plane" instead`,
      `spec.affinity.nodeAffinity.${PREFERRED}[0].preference.matchExpressions[0].values[0]: a b is invalid, ${NO_LABEL}`,
    ],
  ],
  [
    'an affinity that finds nothing',
    pod({
      affinity: {
        podAffinity: { [NEEDED]: [{ topologyKey: 'a' }, { topologyKey: 'a', labelSelector: {} }] },
        podAntiAffinity: { [PREFERRED]: [{ weight: 1, podAffinityTerm: { topologyKey: 'a' } }] },
      },
    }),
    [
      `spec.affinity.podAffinity.${NEEDED}[0].labelSelector: a null labelSelector results in matching no pod`,
      `spec.affinity.podAntiAffinity.${PREFERRED}[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod`,
    ],
  ],
  [
    'two keys in one place',
    pod(
      volumes(
        {
          name: 'c',
          configMap: {
            name: 'm',
            items: [
              { key: 'a', path: 'x' },
              { key: 'b', path: 'x' },
            ],
          },
        },
        {
          name: 's',
          secret: {
            secretName: 't',
            items: [
              { key: 'a', path: 'x/y' },
              { key: 'b', path: 'x/' },
            ],
          },
        },
        { name: 'd', downwardAPI: { items: [{ path: 'a' }, { path: 'ab' }] } },
      ),
    ),
    [
      'volume "c" (ConfigMap "m"): overlapping paths: "x" with "x"',
      'volume "s" (Secret "t"): overlapping paths: "x" with "x/y"',
    ],
  ],
  [
    'two sources in one place, and one that is none',
    pod(
      volumes({
        name: 'p',
        projected: {
          sources: [
            {},
            { serviceAccountToken: { path: 'token' } },
            { configMap: { name: 'm', items: [{ key: 'a', path: 'token/b' }] } },
            { secret: { name: 't' } },
            { clusterTrustBundle: { signerName: 'x/y', path: 'token' } },
          ],
        },
      }),
    ),
    [
      'volume "p" (Projected) has no sources provided',
      'volume "p" (Projected): overlapping paths: "token/b" (ConfigMap "m") with "token" (ServiceAccountToken)',
      'volume "p" (Projected): overlapping paths: "token" (ClusterTrustBundle "x/y") with "token" (ServiceAccountToken)',
      'volume "p" (Projected): overlapping paths: "token" (ClusterTrustBundle "x/y") with "token/b" (ConfigMap "m")',
    ],
  ],
  [
    'addresses in another form',
    pod({ dnsConfig: { nameservers: ['10.0.0.1', '::ffff:10.0.0.1'] }, hostAliases: [{ ip: 'FD00::0:1' }] }),
    [
      'spec.dnsConfig.nameservers[1]: non-standard IP address "::ffff:10.0.0.1" will be considered invalid in a future Kubernetes release: use "10.0.0.1"',
      'spec.hostAliases[0].ip: IPv6 address "FD00::0:1" should be in RFC 5952 canonical format ("fd00::1")',
    ],
  ],
];

for (const [name, object, expected] of rows) {
  test(`${name} is warned of as Kubernetes does`, () =>
    assert.deepEqual(warningsFor(object, 'Pod'), expected));
}

test('a template is warned of at its path, and again only when it changed', () => {
  const deployment = (generation: number): Record<string, unknown> => ({
    metadata: { name: 'd', generation },
    spec: { template: { spec: { terminationGracePeriodSeconds: -1 } } },
  });
  const text =
    'spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1';
  assert.deepEqual(warningsFor(deployment(1), 'Deployment'), [text]);
  assert.deepEqual(warningsFor(deployment(1), 'Deployment', deployment(1)), []);
  assert.deepEqual(warningsFor(deployment(2), 'Deployment', deployment(1)), [text]);
});

test('a volume that is to be emptied for others is warned of', () => {
  const volume = { metadata: { name: 'v' }, spec: { persistentVolumeReclaimPolicy: 'Recycle' } };
  assert.deepEqual(warningsFor(volume, 'PersistentVolume'), [
    'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
  ]);
});

const service = (spec: object, annotations = {}): Record<string, unknown> => ({
  metadata: { name: 's', annotations },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.9',
    clusterIPs: ['10.96.0.9'],
    sessionAffinity: 'None',
    ...spec,
  },
});
const headless = { clusterIP: 'None', clusterIPs: ['None'] };

const kinds: readonly (readonly [string, string, Record<string, unknown>, string[]])[] = [
  [
    'a Service without an address of its own',
    'Service',
    service({
      ...headless,
      externalIPs: ['1.2.3.4'],
      loadBalancerIP: '1.2.3.4',
      sessionAffinity: 'ClientIP',
    }),
    [
      'spec.loadBalancerIP is ignored for headless services',
      'spec.externalIPs is ignored for headless services',
      'spec.SessionAffinity is ignored for headless services',
    ],
  ],
  [
    'a Service with older settings',
    'Service',
    service(
      {
        externalIPs: ['FD00::1'],
        externalName: 'a.b',
        loadBalancerSourceRanges: ['10.1.2.3/8', '::ffff:10.0.0.0/104', '2001:DB8::/32', '10.0.0.0/8'],
        trafficDistribution: 'PreferClose',
      },
      { 'service.kubernetes.io/topology-aware-hints': 'auto' },
    ),
    [
      'annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead',
      'spec.externalIPs[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
      'spec.loadBalancerSourceRanges[0]: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)',
      'spec.loadBalancerSourceRanges[1]: non-standard CIDR value "::ffff:10.0.0.0/104" will be considered invalid in a future Kubernetes release: use "10.0.0.0/8"',
      'spec.loadBalancerSourceRanges[2]: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
  ],
  [
    'a name with addresses',
    'Service',
    service({
      type: 'ExternalName',
      clusterIP: '',
      clusterIPs: [],
      externalName: 'a.b',
      externalIPs: ['1.2.3.4'],
    }),
    ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
  ],
  [
    'an Ingress with its class in an annotation',
    'Ingress',
    { metadata: { annotations: { 'kubernetes.io/ingress.class': 'nginx' } } },
    [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`],
  ],
  [
    'ranges of a NetworkPolicy',
    'NetworkPolicy',
    { spec: { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.1/16'] } }] }] } },
    [
      'spec.egress[0].to[0].ipBlock.except[0]: CIDR value "10.1.0.1/16" is ambiguous in this context (should be "10.1.0.0/16" or "10.1.0.1/32"?)',
    ],
  ],
  [
    'names as endpoints',
    'EndpointSlice',
    { addressType: 'FQDN', endpoints: [{ addresses: ['a.example'] }] },
    ['spec.addressType: FQDN endpoints are deprecated'],
  ],
  [
    'Endpoints in another form',
    'Endpoints',
    { subsets: [{ notReadyAddresses: [{ ip: '::FFFF:1.2.3.4' }] }] },
    [
      'subsets[0].notReadyAddresses[0].ip: non-standard IP address "::FFFF:1.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"',
    ],
  ],
  [
    'a set that keeps every revision, with claims for parts of bytes',
    'StatefulSet',
    {
      metadata: { name: 's' },
      spec: {
        revisionHistoryLimit: -1,
        volumeClaimTemplates: [{ spec: { resources: { requests: { storage: '1500m' } } } }],
        template: {},
      },
    },
    [
      'spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
      'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
    ],
  ],
  [
    'a Job with more indexes than can be told of',
    'Job',
    {
      metadata: { name: 'j' },
      spec: { completionMode: 'Indexed', completions: 100_001, parallelism: 10_001 },
    },
    [
      'spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
    ],
  ],
  [
    'old labels of nodes in classes',
    'RuntimeClass',
    { scheduling: { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } } },
    ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
  [
    'old labels of nodes in topologies',
    'StorageClass',
    {
      allowedTopologies: [
        { matchLabelExpressions: [{ key: 'failure-domain.beta.kubernetes.io/zone', values: ['a'] }] },
      ],
    },
    [
      'allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    ],
  ],
  [
    'a volume of a kind that is gone, on nodes by an old label',
    'PersistentVolume',
    {
      spec: {
        cephfs: { monitors: ['a'] },
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'beta.kubernetes.io/arch' }] }] },
        },
      },
    },
    [
      'spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead',
      'spec.cephfs: deprecated in v1.28, non-functional in v1.31+',
    ],
  ],
];

for (const [name, kind, object, expected] of kinds) {
  test(`${name}: the ${kind} is warned of as Kubernetes does`, () =>
    assert.deepEqual(warningsFor(object, kind), expected));
}

test('a time zone in an older schedule is told of, and an older class of an Ingress only once', () => {
  const cronJob = { metadata: { name: 'c', generation: 1 }, spec: { schedule: 'TZ=UTC * * * * *' } };
  assert.deepEqual(warningsFor(cronJob, 'CronJob', cronJob), [
    'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
  ]);
  const ingress = { metadata: { annotations: { 'kubernetes.io/ingress.class': 'nginx' } } };
  assert.deepEqual(warningsFor(ingress, 'Ingress', ingress), []);
});

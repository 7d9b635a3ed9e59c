import { after, before, describe } from 'node:test';
import { startTestApi, type TestApi } from '../support/test-api.ts';
import { refuses, type Refusal } from './refusals.ts';

let api: TestApi;
const DEMO = '/api/v1/namespaces/demo';
const EVENTS = '/apis/events.k8s.io/v1/namespaces/demo/events';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const ROLES = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
const BUDGETS = '/apis/policy/v1/namespaces/demo/poddisruptionbudgets';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/demo/leases';
const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const IMMUTABLE = 'field is immutable';
const container = { name: 'a', image: 'x' };

const event = (more: object = {}): object => ({
  metadata: { name: 'told' },
  eventTime: '2026-01-01T00:00:00.000000Z',
  regarding: { kind: 'Pod', namespace: 'demo', name: 'x' },
  reportingController: 'a.b/c',
  reportingInstance: 'i',
  action: 'Acted',
  reason: 'Because',
  type: 'Normal',
  note: 'n',
  ...more,
});

before(async () => {
  api = await startTestApi();
  const make = (path: string, body: object): Promise<unknown> => api.send('POST', path, { body });
  await make('/api/v1/namespaces', { metadata: { name: 'demo' } });
  await make(`${DEMO}/serviceaccounts`, { metadata: { name: 'default' } });
  await make('/api/v1/nodes', { metadata: { name: 'n1' } });
  await make(`${DEMO}/pods`, {
    metadata: { name: 'p' },
    spec: { containers: [container], restartPolicy: 'Never' },
  });
  await make(EVENTS, event());
  await api.send('PATCH', `${DEMO}/pods/p/status`, {
    body: {
      status: {
        containerStatuses: [
          {
            name: 'a',
            image: 'x',
            imageID: '',
            ready: false,
            restartCount: 0,
            state: { terminated: { exitCode: 1 } },
          },
        ],
      },
    },
    contentType: 'application/merge-patch+json',
  });
});
after(() => api.close());

const all = (...errors: string[]): string =>
  errors.length === 1 ? errors.join('') : `[${errors.join(', ')}]`;
const row = (name: string, request: string, body: object, what: string, ...errors: string[]): Refusal => [
  name,
  request,
  body,
  422,
  `${what} is invalid: ${all(...errors)}`,
];

describe('what a node says of a Pod is refused when', () => {
  const status = (name: string, told: object, ...errors: string[]): Refusal =>
    row(name, `MERGE ${DEMO}/pods/p/status`, { status: told }, 'Pod "p"', ...errors);
  refuses(
    () => api,
    [
      status(
        'it changes the class that the Pod has for good',
        { qosClass: 'Guaranteed' },
        `status.qosClass: Invalid value: "Guaranteed": ${IMMUTABLE}`,
      ),
      status(
        'it gives an address that is none',
        { podIPs: [{ ip: 'y' }] },
        'status.podIPs[0]: Invalid value: "y": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ),
      status(
        'it lets a container run again that is not to be started again',
        {
          containerStatuses: [
            { name: 'a', image: 'x', imageID: '', ready: false, restartCount: 1, state: { running: {} } },
          ],
        },
        'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state',
      ),
    ],
  );
});

describe('a request about a Pod is refused:', () => {
  refuses(
    () => api,
    [
      [
        'a binding to something else than a node',
        `POST ${DEMO}/pods/p/binding`,
        { metadata: { name: 'p' }, target: { kind: 'X' } },
        500,
        '[target.kind: Unsupported value: "X": supported values: "Node", "<empty>", target.name: Required value]',
      ],
      [
        'a binding of another Pod',
        `POST ${DEMO}/pods/p/binding`,
        { metadata: { name: 'q' }, target: { name: 'n1' } },
        400,
        'name in URL does not match name in Binding object',
      ],
      [
        'overhead that no class names',
        `POST ${DEMO}/pods`,
        { metadata: { name: 'costly' }, spec: { containers: [container], overhead: { cpu: '1' } } },
        403,
        'pods "costly" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
      ],
      row(
        'a token for another account than that of the path',
        `POST ${DEMO}/serviceaccounts/default/token`,
        { metadata: { name: 'other' }, spec: {} },
        'TokenRequest.authentication.k8s.io "default"',
        'metadata.name: Invalid value: "other": must match the service account name if specified',
      ),
    ],
  );
});

describe('an Event of the newer group is refused', () => {
  const told = (name: string, more: object, ...errors: string[]): Refusal =>
    row(
      name,
      `POST ${EVENTS}`,
      { ...event(more), metadata: { name: 'bad' } },
      'Event.events.k8s.io "bad"',
      ...errors,
    );
  refuses(
    () => api,
    [
      told(
        'without a time, a type and what it is about',
        { eventTime: null, type: 'Odd', regarding: {} },
        'involvedObject.namespace: Invalid value: "": does not match event.namespace',
        'eventTime: Required value',
        'type: Invalid value: "": has invalid value: Odd',
      ),
      told(
        'with parts that are missing or too long',
        { reportingInstance: '', action: 'a'.repeat(129), note: 'n'.repeat(1025), series: { count: 1 } },
        'reportingInstance: Required value',
        'action: Invalid value: "": can have at most 128 characters',
        'message: Invalid value: "": can have at most 1024 characters',
        'series.count: Invalid value: "": should be at least 2',
        'series.lastObservedTime: Required value',
      ),
      told(
        'with parts of the older group',
        { deprecatedCount: 1, deprecatedSource: { host: 'n1' } },
        'count: Invalid value: "": needs to be unset',
        'source: Invalid value: "": needs to be unset',
      ),
      row(
        'when it tells something else later',
        `MERGE ${EVENTS}/told`,
        { note: 'other', action: 'Other' },
        'Event.events.k8s.io "told"',
        `message: Invalid value: "other": ${IMMUTABLE}`,
        `action: Invalid value: "Other": ${IMMUTABLE}`,
      ),
    ],
  );
});

describe('other kinds are refused:', () => {
  const crd = (group: string, more: object): object => ({
    metadata: { name: `foos.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'foos', kind: 'Foo' },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
      ...more,
    },
  });
  const approval = 'metadata.annotations[api-approved.kubernetes.io]';
  refuses(
    () => api,
    [
      row(
        'a Node whose Pods would get addresses that are none',
        'POST /api/v1/nodes',
        { metadata: { name: 'n2' }, spec: { podCIDRs: ['y'] } },
        'Node "n2"',
        'spec.podCIDRs[0]: Invalid value: "y": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ),
      row(
        'a Node that gets another outside name',
        'MERGE /api/v1/nodes/n1',
        { spec: { externalID: 'x' } },
        'Node "n1"',
        'spec.externalID: Forbidden: may not be updated',
      ),
      row(
        'a ClusterRole that gathers from nowhere',
        `POST ${ROLES}`,
        { metadata: { name: 'r' }, aggregationRule: { clusterRoleSelectors: [] } },
        'ClusterRole.rbac.authorization.k8s.io "r"',
        'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
      ),
      row(
        'a budget with both bounds',
        `POST ${BUDGETS}`,
        { metadata: { name: 'b' }, spec: { maxUnavailable: '5%', minAvailable: 1 } },
        'PodDisruptionBudget.policy "b"',
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":"5%","UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
      ),
      row(
        'a limit for something unknown',
        `POST ${DEMO}/limitranges`,
        { metadata: { name: 'l' }, spec: { limits: [{ type: 'X' }] } },
        'LimitRange "l"',
        'spec.limits[0].type: Invalid value: "X": must be a standard limit type or fully qualified',
      ),
      row(
        'a question about access that has a name',
        `POST ${REVIEWS}`,
        {
          metadata: { name: 'x' },
          spec: { user: 'a', resourceAttributes: {}, nonResourceAttributes: { path: '/' } },
        },
        'SubjectAccessReview.authorization.k8s.io ""',
        'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":""}: cannot be specified in combination with resourceAttributes',
        'metadata: Invalid value: {"name":"x"}: must be empty',
      ),
      row(
        'a volume without anything',
        'POST /api/v1/persistentvolumes',
        { metadata: { name: 'v' } },
        'PersistentVolume "v"',
        'spec.accessModes: Required value',
        'spec.capacity: Required value',
        'spec.capacity: Unsupported value: null: supported values: "storage"',
        'spec: Required value: must specify a volume type',
      ),
      row(
        'a definition in a group of the community',
        `POST ${CRDS}`,
        crd('x.k8s.io', {}),
        'CustomResourceDefinition.apiextensions.k8s.io "foos.x.k8s.io"',
        `${approval}: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111`,
      ),
      row(
        'a definition with errors in the order of its parts',
        `POST ${CRDS}`,
        crd('e.com', {
          scope: '',
          versions: [{ name: 'v1', served: true, storage: false }],
          names: { plural: 'foos', kind: '' },
        }),
        'CustomResourceDefinition.apiextensions.k8s.io "foos.e.com"',
        'spec.scope: Required value',
        'spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required',
        'spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]: must have exactly one version marked as storage version',
        'spec.names.singular: Required value',
        'spec.names.kind: Required value',
        'spec.names.listKind: Required value',
      ),
      row(
        'a schema that all versions have in common, at the place of the whole definition',
        `POST ${CRDS}`,
        crd('e.com', {
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: {} } }],
          names: { plural: 'foos', kind: 'Foo-', categories: ['A'] },
        }),
        'CustomResourceDefinition.apiextensions.k8s.io "foos.e.com"',
        ...[
          ['singular', 'foo-', ''],
          ['kind', 'Foo-', 'may have mixed case, but should otherwise match: '],
          ['categories[0]', 'A', ''],
        ].map(
          ([field = '', value = '', before = '']) =>
            `spec.names.${field}: Invalid value: "${value}": ${before}a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`,
        ),
        'spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root',
      ),
    ],
  );
});

describe('a time is refused that', () => {
  const wrong = (name: string, renewTime: string, why: string): Refusal => [
    name,
    `POST ${LEASES}`,
    { metadata: { name: 'l' }, spec: { renewTime } },
    400,
    `Lease in version "v1" cannot be handled as a Lease: parsing time "${renewTime}"${why}`,
  ];
  const layout = ' as "2006-01-02T15:04:05.000000Z07:00": cannot parse ';
  refuses(
    () => api,
    [
      wrong('has no microseconds', '2026-01-01T00:00:00Z', `${layout}"Z" as ".000000"`),
      wrong('has more than microseconds', '2026-01-01T00:00:00.1234567Z', `${layout}"7Z" as "Z07:00"`),
      wrong('is a day', '2026-01-01', `${layout}"" as "T"`),
      wrong('has a month too many', '2026-13-01T00:00:00.000000Z', ': month out of range'),
      wrong('has a day too many', '2026-02-29T00:00:00.000000Z', ': day out of range'),
      wrong('goes on', '2026-02-28T00:00:00.000000Zulu', ': extra text: "ulu"'),
    ],
  );
});

describe('a list whose items lack what tells them apart', () => {
  refuses(
    () => api,
    [
      [
        "is nobody's, and is taken",
        `POST ${DEMO}/serviceaccounts`,
        { metadata: { name: 'nameless' }, secrets: [{}] },
        201,
        '',
      ],
    ],
  );
});

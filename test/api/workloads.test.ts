import { after, before, describe } from 'node:test';
import { startTestApi, type TestApi } from '../support/test-api.ts';
import { refuses, type Refusal } from './refusals.ts';

let api: TestApi;
const APPS = '/apis/apps/v1/namespaces/demo';
const JOBS = '/apis/batch/v1/namespaces/demo/jobs';
const CRON_JOBS = '/apis/batch/v1/namespaces/demo/cronjobs';
const MISMATCH = '`selector` does not match template `labels`';
const container = { name: 'a', image: 'x' };

const template = (spec: object = {}, labels?: object): object => ({
  metadata: labels === undefined ? {} : { labels },
  spec: { containers: [container], restartPolicy: 'Never', ...spec },
});
const lasting = { metadata: { labels: { app: 'd' } }, spec: { containers: [container] } };
const job = (spec: object, name = 'j'): object => ({
  metadata: { name },
  spec: { template: template(), ...spec },
});
const failing = (rule: object): object => job({ podFailurePolicy: { rules: [rule] } });
const cronJob = (spec: object): object => ({
  metadata: { name: 'c' },
  spec: { schedule: '* * * * *', jobTemplate: { spec: { template: template() } }, ...spec },
});

before(async () => {
  api = await startTestApi();
  const make = (path: string, body: object): Promise<unknown> => api.send('POST', path, { body });
  await make('/api/v1/namespaces', { metadata: { name: 'demo' } });
  await make('/api/v1/namespaces/demo/serviceaccounts', { metadata: { name: 'default' } });
  const selector = { matchLabels: { app: 'd' } };
  for (const kind of ['deployments', 'replicasets', 'statefulsets', 'daemonsets']) {
    await make(`${APPS}/${kind}`, { metadata: { name: 'one' }, spec: { selector, template: lasting } });
  }
  await make(JOBS, job({ completions: 3 }, 'plain'));
  await make(JOBS, job({ completionMode: 'Indexed', completions: 3, parallelism: 2 }, 'indexed'));
  await make(JOBS, job({ suspend: true }, 'suspended'));
});
after(() => api.close());

const invalid = (what: string, ...errors: string[]): string =>
  `${what} is invalid: ${errors.length === 1 ? errors.join('') : `[${errors.join(', ')}]`}`;
const refused = (name: string, body: object, ...errors: string[]): Refusal => [
  name,
  `POST ${JOBS}`,
  body,
  422,
  invalid('Job.batch "j"', ...errors),
];

describe('a Job is refused', () => {
  const rule = 'spec.podFailurePolicy.rules[0]';
  const success = 'spec.successPolicy.rules[0]';
  const generated =
    '{"batch.kubernetes.io/controller-uid":"UID","batch.kubernetes.io/job-name":"j","controller-uid":"UID","job-name":"j"}';
  const indexed = { completionMode: 'Indexed', completions: 3 };
  refuses(
    () => api,
    [
      refused(
        'whose selector is its own without being asked for',
        job({ selector: { matchLabels: { z: 'b' } } }),
        'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"UID","z":"b"}}: `selector` not auto-generated',
        `spec.template.metadata.labels: Invalid value: ${generated}: ${MISMATCH}`,
      ),
      refused(
        'whose template is labelled as that of another Job',
        job({ template: template({}, { 'job-name': 'other' }) }),
        `spec.template.metadata.labels[job-name]: Invalid value: ${generated.replace('"job-name":"j"}', '"job-name":"other"}')}: must be 'j'`,
      ),
      refused(
        'without the selector that it is to find by itself',
        job({ manualSelector: true }),
        'spec.selector: Required value',
        `spec.template.metadata.labels: Invalid value: null: ${MISMATCH}`,
      ),
      refused(
        'with more failed indexes than there are',
        job({ ...indexed, backoffLimitPerIndex: 1, maxFailedIndexes: 4 }),
        'spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions',
      ),
      refused(
        'with too many indexes at a time',
        job({ ...indexed, completions: 200_000, parallelism: 100_001, backoffLimitPerIndex: 1 }),
        'spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed',
        'spec.maxFailedIndexes: Required value: must be specified when completions is above 100000',
        'spec.parallelism: Invalid value: 100001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
      ),
      refused(
        'whose manager has no domain',
        job({ managedBy: 'foo' }),
        'spec.managedBy: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")',
      ),
      refused(
        'whose failure policy says neither what to do nor when',
        failing({}),
        `${rule}.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`,
        `${rule}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`,
      ),
      refused(
        'whose failure policy goes by exit codes that cannot be',
        failing({
          action: 'FailJob',
          onExitCodes: { containerName: 'zz', operator: 'In', values: [0, 1, 1, -1] },
        }),
        `${rule}.onExitCodes.containerName: Invalid value: "zz": must be one of the container or initContainer names in the pod template`,
        `${rule}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator`,
        `${rule}.onExitCodes.values[2]: Duplicate value: 1`,
        `${rule}.onExitCodes.values: Invalid value: [0,1,1,-1]: must be ordered`,
      ),
      refused(
        'that would fail an index without counting its failures',
        failing({ action: 'FailIndex', onPodConditions: [{ type: 'a', status: 'X' }] }),
        `${rule}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`,
        `${rule}.onPodConditions[0].status: Unsupported value: "X": supported values: "False", "True", "Unknown"`,
      ),
      refused(
        'that replaces Pods before they end though it looks at how they fail',
        job({
          podReplacementPolicy: 'TerminatingOrFailed',
          podFailurePolicy: {
            rules: [{ action: 'Ignore', onPodConditions: [{ type: 'a', status: 'True' }] }],
          },
          template: template({ restartPolicy: 'OnFailure' }),
        }),
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ),
      refused(
        'whose success policy is empty',
        job({ ...indexed, successPolicy: { rules: [] } }),
        'spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified',
      ),
      refused(
        'whose success policy names indexes that there are not',
        job({ ...indexed, successPolicy: { rules: [{ succeededIndexes: '0-5', succeededCount: 9 }] } }),
        `${success}.succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"`,
        `${success}.succeededCount: Invalid value: 9: must be less than or equal to 3 (the number of specified completions)`,
        `${success}.succeededCount: Invalid value: 9: must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)`,
      ),
      refused(
        'whose success policy counts backwards',
        job({ ...indexed, successPolicy: { rules: [{ succeededIndexes: '2,1' }] } }),
        `${success}.succeededIndexes: Invalid value: "2,1": error parsing succeededIndexes: non-increasing order, previous: 2, current: 1`,
      ),
      refused(
        'without indexes that has a success policy',
        job({ successPolicy: { rules: [{ succeededCount: 1 }] } }),
        'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode',
      ),
      [
        'whose Pods could not be called by its name',
        `POST ${JOBS}`,
        job(indexed, 'a.b'),
        422,
        invalid(
          'Job.batch "a.b"',
          'metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: a.b-2',
        ),
      ],
    ],
  );
});

describe('a change of a Job', () => {
  const kept = (path: string, value: string): string =>
    `${path}: Invalid value: ${value}: field is immutable`;
  const row = (name: string, which: string, spec: object, code: number, ...errors: string[]): Refusal => [
    name,
    `MERGE ${JOBS}/${which}`,
    { spec },
    code,
    code === 200 ? '' : invalid(`Job.batch "${which}"`, ...errors),
  ];
  refuses(
    () => api,
    [
      row('cannot ask for more completions', 'plain', { completions: 5 }, 422, kept('spec.completions', '5')),
      row(
        'cannot give it more indexes alone',
        'indexed',
        { completions: 5 },
        422,
        'spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism',
      ),
      row('can give it more indexes and Pods together', 'indexed', { completions: 5, parallelism: 5 }, 200),
      row(
        'cannot look at failures from now on',
        'plain',
        {
          podReplacementPolicy: 'Failed',
          podFailurePolicy: {
            rules: [{ action: 'Ignore', onPodConditions: [{ type: 'a', status: 'True' }] }],
          },
        },
        422,
        kept(
          'spec.podFailurePolicy',
          '{"Rules":[{"Action":"Ignore","OnExitCodes":null,"OnPodConditions":[{"Type":"a","Status":"True"}]}]}',
        ),
      ),
      row(
        'can say where it runs and how its Pods are labelled while it never ran',
        'suspended',
        { template: { metadata: { labels: { a: 'b' } }, spec: { nodeSelector: { a: 'b' } } } },
        200,
      ),
      row('can suspend it and limit its time', 'plain', { suspend: true, activeDeadlineSeconds: 5 }, 200),
    ],
  );
});

describe('a CronJob is refused', () => {
  const row = (name: string, spec: object, ...errors: string[]): Refusal => [
    name,
    `POST ${CRON_JOBS}`,
    cronJob(spec),
    422,
    invalid('CronJob.batch "c"', ...errors),
  ];
  const schedule = (value: string, why: string): string => `spec.schedule: Invalid value: "${value}": ${why}`;
  refuses(
    () => api,
    [
      row(
        'with everything wrong in the order of its fields',
        {
          schedule: '',
          startingDeadlineSeconds: -1,
          timeZone: 'local',
          concurrencyPolicy: 'X',
          successfulJobsHistoryLimit: -1,
          jobTemplate: { spec: { template: template({ restartPolicy: 'Always' }) } },
        },
        'spec.schedule: Required value',
        'spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0',
        'spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
        'spec.timeZone: Invalid value: "local": unknown time zone local',
        'spec.concurrencyPolicy: Unsupported value: "X": supported values: "Allow", "Forbid", "Replace"',
        'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        'spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0',
      ),
      row(
        'whose schedule names a time zone',
        { schedule: 'TZ=UTC * * * * *' },
        schedule('TZ=UTC * * * * *', 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
      ),
      row(
        'whose interval is none',
        { schedule: '@every x' },
        schedule('@every x', 'failed to parse duration @every x: time: invalid duration "x"'),
      ),
      row(
        'whose interval has no unit',
        { schedule: '@every 5' },
        schedule('@every 5', 'failed to parse duration @every 5: time: missing unit in duration "5"'),
      ),
      row(
        'whose interval has an unknown unit',
        { schedule: '@every 1h5y' },
        schedule(
          '@every 1h5y',
          'failed to parse duration @every 1h5y: time: unknown unit "y" in duration "1h5y"',
        ),
      ),
      row(
        'whose minute is beyond all numbers',
        { schedule: '99999999999999999999 * * * *' },
        schedule(
          '99999999999999999999 * * * *',
          'failed to parse int from 99999999999999999999: strconv.Atoi: parsing "99999999999999999999": value out of range',
        ),
      ),
    ],
  );
});

describe('counts of Pods that cannot be are refused:', () => {
  const negative = 'must be greater than or equal to 0';
  refuses(
    () => api,
    [
      [
        'a ReplicaSet with more ready Pods than Pods',
        `MERGE ${APPS}/replicasets/one/status`,
        { status: { replicas: 1, readyReplicas: 2, availableReplicas: 3 } },
        422,
        invalid(
          'ReplicaSet.apps "one"',
          'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
          'status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas',
          'status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas',
        ),
      ],
      [
        'a Deployment with fewer than no Pods missing',
        `MERGE ${APPS}/deployments/one/status`,
        { status: { unavailableReplicas: -1, observedGeneration: -1 } },
        422,
        invalid(
          'Deployment.apps "one"',
          `status.observedGeneration: Invalid value: -1: ${negative}`,
          `status.unavailableReplicas: Invalid value: -1: ${negative}`,
        ),
      ],
      [
        'a StatefulSet with more available Pods than ready ones',
        `MERGE ${APPS}/statefulsets/one/status`,
        { status: { replicas: 2, readyReplicas: 1, availableReplicas: 2 } },
        422,
        invalid(
          'StatefulSet.apps "one"',
          'status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas',
        ),
      ],
      [
        'a DaemonSet on fewer than no nodes',
        `MERGE ${APPS}/daemonsets/one/status`,
        { status: { numberReady: -1 } },
        422,
        invalid('DaemonSet.apps "one"', `status.numberReady: Invalid value: -1: ${negative}`),
      ],
    ],
  );
});

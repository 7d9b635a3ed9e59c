import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  evictionGraceSeconds,
  evictionMessage,
  reclaimSteps,
  refusalUnderPressure,
  thresholdMetEvent,
} from './eviction-action.ts';
import {
  CALM,
  evictionRound,
  metThresholds,
  thresholdAmount,
  withContainerfs,
  type EvictionState,
  type Observations,
} from './eviction-state.ts';
import {
  EVICTION_SIGNALS,
  EvictionConfigError,
  parseEvictionThresholds,
  parseThresholdFlag,
  type EvictionFields,
  type EvictionSignal,
  type EvictionThreshold,
} from './eviction-thresholds.ts';

const FUZZ = { numRuns: Math.min(30_000, Number(process.env.FUZZ_RUNS ?? 1000)) };
const GIB = 1024 ** 3;

function shown(thresholds: readonly EvictionThreshold[]): string[] {
  return thresholds.map(
    ({ signal, value, gracePeriod }) =>
      `${signal}<${value.text}${gracePeriod === 0 ? '' : ` for ${gracePeriod}`}`,
  );
}

function seen(values: Partial<Record<EvictionSignal, number>>, capacity = 100 * GIB): Observations {
  return new Map(
    Object.entries(values).map(([signal, available]) => [signal as EvictionSignal, { available, capacity }]),
  );
}

test('11.19 eight signals are known, anything else is refused', () => {
  assert.equal(EVICTION_SIGNALS.length, 8);
  for (const fields of [
    { evictionHard: { 'disk.full': '1' } },
    { evictionSoftGracePeriod: { x: '1m' } },
    { evictionMinimumReclaim: { x: '1' } },
  ])
    assert.throws(() => parseEvictionThresholds(fields), {
      message: /^unsupported eviction signal (?:disk\.full|x)$/,
    });
});

test('11.20 11.21 the defaults hold until evictionHard is set, and beside it only when asked for', () => {
  const defaults = [
    'memory.available<100Mi',
    'nodefs.available<10%',
    'nodefs.inodesFree<5%',
    'imagefs.available<15%',
    'imagefs.inodesFree<5%',
  ];
  assert.deepEqual(shown(parseEvictionThresholds({})), defaults);
  assert.deepEqual(shown(parseEvictionThresholds({}, 'windows')), [
    'memory.available<500Mi',
    'nodefs.available<10%',
    'imagefs.available<15%',
  ]);
  const evictionHard = { 'imagefs.available': '20%' };
  assert.deepEqual(shown(parseEvictionThresholds({ evictionHard })), ['imagefs.available<20%']);
  assert.deepEqual(
    shown(parseEvictionThresholds({ evictionHard, mergeDefaultEvictionSettings: true })),
    defaults.map((text) => text.replace('15%', '20%')),
  );
});

test('11.22 values are positive quantities or percentages; 0% and 100% turn a signal off', () => {
  const hard = (value: string): string[] =>
    shown(parseEvictionThresholds({ evictionHard: { 'nodefs.available': value } }));
  assert.deepEqual(hard('1024Mi'), ['nodefs.available<1Gi']);
  assert.deepEqual(hard('7.5%'), ['nodefs.available<7.5%']);
  assert.deepEqual([hard('0%'), hard('100%')], [[], []]);
  const table: [string, string | RegExp][] = [
    ['0', 'eviction threshold nodefs.available must be positive: 0'],
    ['-1Gi', 'eviction threshold nodefs.available must be positive: -1Gi'],
    ['-1%', 'eviction percentage threshold nodefs.available must be >= 0%: -1%'],
    ['101%', 'eviction percentage threshold nodefs.available must be <= 100%: 101%'],
    ['x%', 'strconv.ParseFloat: parsing "x": invalid syntax'],
    ['much', /quantities must match/],
  ];
  for (const [value, message] of table) assert.throws(() => hard(value), { message });
  assert.deepEqual(parseThresholdFlag('imagefs.available<15%, memory.available<1Gi'), {
    'imagefs.available': '15%',
    'memory.available': '1Gi',
  });
  assert.throws(() => parseThresholdFlag('imagefs.available'), {
    message: 'malformed pair, expect string<string',
  });
});

test('11.23 a soft threshold needs a grace period, which is not negative', () => {
  const evictionSoft = { 'imagefs.available': '20%' };
  const soft = (period?: string): string[] =>
    shown(
      parseEvictionThresholds({
        evictionHard: {},
        evictionSoft,
        ...(period === undefined ? {} : { evictionSoftGracePeriod: { 'imagefs.available': period } }),
      }),
    );
  assert.deepEqual(soft('1m30s'), ['imagefs.available<20% for 90000']);
  assert.throws(() => soft(), {
    message: 'grace period must be specified for the soft eviction threshold imagefs.available',
  });
  assert.throws(() => soft('-1m'), {
    message: 'invalid eviction grace period specified: -1m0s, must be a positive value',
  });
});

test('11.24 minimum reclaim is positive, and asks for more only after a threshold was met', () => {
  const parse = (value: string): readonly EvictionThreshold[] =>
    parseEvictionThresholds({
      evictionHard: { 'imagefs.available': '10Gi' },
      evictionMinimumReclaim: { 'imagefs.available': value },
    });
  assert.throws(() => parse('0%'), {
    message: 'eviction percentage minimum reclaim imagefs.available must be positive: 0%',
  });
  assert.throws(() => parse('-1'), {
    message: 'negative eviction minimum reclaim specified for imagefs.available',
  });
  const thresholds = parse('5%');
  const at = (gib: number): Observations => seen({ 'imagefs.available': gib * GIB });
  assert.equal(metThresholds(thresholds, at(12), false).length, 0);
  const first = evictionRound(CALM, thresholds, at(12), 0);
  assert.equal(first.actOn, undefined);
  const second = evictionRound(first.state, thresholds, at(9), 10);
  assert.equal(second.actOn?.signal, 'imagefs.available');
  const third = evictionRound(second.state, thresholds, at(12), 20);
  assert.equal(third.actOn?.signal, 'imagefs.available', '12 GiB is less than 10 GiB and 5 %');
  assert.equal(evictionRound(third.state, thresholds, at(16), 30).actOn, undefined);
});

test('11.25 a percentage is computed in single precision and cut off', () => {
  const [threshold] = parseEvictionThresholds({ evictionHard: { 'imagefs.available': '15%' } });
  assert.ok(threshold);
  assert.equal(thresholdAmount(threshold.value, 1000), Math.trunc(1000 * Math.fround(0.15)));
  const [third] = parseEvictionThresholds({ evictionHard: { 'imagefs.available': '33.3%' } });
  assert.ok(third);
  assert.equal(thresholdAmount(third.value, 10), 3);
});

test('11.26 thresholds for containerfs follow the file system that holds the containers', () => {
  const thresholds = parseEvictionThresholds({
    evictionHard: { 'containerfs.available': '1Gi', 'nodefs.available': '10%', 'imagefs.available': '20%' },
  });
  const logged: string[] = [];
  const containerfs = (layout: 'single' | 'dedicated' | 'split'): string[] =>
    shown(
      withContainerfs(thresholds, layout, (message) => logged.push(message)).filter(({ signal }) =>
        signal.startsWith('containerfs'),
      ),
    );
  assert.deepEqual(containerfs('single'), ['containerfs.available<10%']);
  assert.deepEqual(containerfs('split'), ['containerfs.available<10%']);
  assert.deepEqual(containerfs('dedicated'), ['containerfs.available<20%']);
  assert.equal(logged[0], 'found containerfs.available for hard eviction. ignoring');
});

test('11.27 DiskPressure comes with the threshold and stays for five minutes after it was last seen', () => {
  const thresholds = parseEvictionThresholds({ evictionHard: { 'imagefs.available': '10Gi' } });
  let state: EvictionState = CALM;
  const round = (gib: number, now: number): readonly string[] => {
    const result = evictionRound(state, thresholds, seen({ 'imagefs.available': gib * GIB }), now);
    ({ state } = result);
    return result.conditions;
  };
  assert.deepEqual(round(50, 0), []);
  assert.deepEqual(round(5, 10_000), ['DiskPressure']);
  assert.deepEqual(round(50, 309_999), ['DiskPressure']);
  assert.deepEqual(round(50, 310_000), []);
});

test('F2 11.23 11.27 a soft threshold shows as a condition at once and acts after its grace', () => {
  const thresholds = parseEvictionThresholds({
    evictionHard: {},
    evictionSoft: { 'imagefs.available': '10Gi' },
    evictionSoftGracePeriod: { 'imagefs.available': '30s' },
  });
  let state: EvictionState = CALM;
  const acts = (gib: number, now: number): boolean => {
    const result = evictionRound(state, thresholds, seen({ 'imagefs.available': gib * GIB }), now);
    ({ state } = result);
    return result.actOn !== undefined;
  };
  assert.deepEqual([acts(5, 0), acts(5, 29_999), acts(5, 30_000)], [false, false, true]);
  assert.deepEqual([acts(50, 40_000), acts(5, 50_000), acts(5, 60_000)], [false, false, false]);
});

test('11.28 memory goes before disk, and the Node’s event names the resource', () => {
  const thresholds = parseEvictionThresholds({});
  const { actOn, conditions } = evictionRound(
    CALM,
    thresholds,
    seen({ 'imagefs.available': 0, 'memory.available': 0 }),
    0,
  );
  assert.equal(actOn?.signal, 'memory.available');
  assert.deepEqual(conditions, ['DiskPressure', 'MemoryPressure']);
  const named = EVICTION_SIGNALS.map((signal) =>
    thresholdMetEvent(signal).message.replace('Attempting to reclaim ', ''),
  );
  assert.deepEqual(named, [
    'memory',
    'ephemeral-storage',
    'inodes',
    'ephemeral-storage',
    'inodes',
    'ephemeral-storage',
    'inodes',
    'pids',
  ]);
  assert.equal(thresholdMetEvent('pid.available').reason, 'EvictionThresholdMet');
});

test('11.29 what is reclaimed first depends on the layout of the file systems', () => {
  const dead = 'dead-containers';
  const images = 'unused-images';
  const table: Record<
    'single' | 'dedicated' | 'split',
    [imagefs: string[], nodefs: string[], containerfs: string[]]
  > = {
    single: [
      [dead, images],
      [dead, images],
      [dead, images],
    ],
    dedicated: [[dead, images], [], [dead, images]],
    split: [[images], [dead], [dead]],
  };
  for (const layout of ['single', 'dedicated', 'split'] as const) {
    const steps = (['imagefs.available', 'nodefs.inodesFree', 'containerfs.available'] as const).map(
      (signal) => reclaimSteps(signal, layout),
    );
    assert.deepEqual(steps, table[layout], layout);
  }
  assert.deepEqual(reclaimSteps('memory.available', 'single'), []);
});

test('11.30 an evicted Pod gets a second to end, or its own time within bounds from a soft threshold', () => {
  const [hard, soft] = parseEvictionThresholds({
    evictionHard: { 'imagefs.available': '10%' },
    evictionSoft: { 'imagefs.available': '30%' },
    evictionSoftGracePeriod: { 'imagefs.available': '2m' },
  });
  assert.ok(hard !== undefined && soft !== undefined);
  for (const [threshold, own, longest, expected] of [
    [hard, 30, 60, 1],
    [hard, 30, -1, 1],
    [soft, 30, 0, 1],
    [soft, 30, 60, 30],
    [soft, 90, 60, 60],
    [soft, 90, -1, 90],
    [soft, 0, 60, 1],
  ] as const) {
    assert.equal(evictionGraceSeconds(threshold, own, longest), expected);
  }
});

test('11.30 an evicted Pod says what ran short, the threshold and what was left', () => {
  const [soft, hard] = [
    parseEvictionThresholds({ evictionHard: { 'imagefs.available': '10%' } })[0],
    parseEvictionThresholds({})[0],
  ];
  assert.ok(soft && hard);
  assert.equal(
    evictionMessage(soft, { available: 1500, capacity: 10 * GIB }),
    `The node was low on resource: ephemeral-storage. Threshold quantity: ${Math.trunc(10 * GIB * Math.fround(0.1))}, available: 1500. `,
  );
  assert.equal(
    evictionMessage(hard, { available: 64 * 1024 ** 2, capacity: GIB }),
    'The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi. ',
  );
});

test('11.31 under DiskPressure only critical Pods come in; short memory keeps out best-effort ones', () => {
  const plain = { critical: false, bestEffort: false };
  assert.deepEqual(refusalUnderPressure(['DiskPressure'], plain), {
    reason: 'Evicted',
    message: 'The node had condition: [DiskPressure]. ',
  });
  assert.equal(refusalUnderPressure(['DiskPressure'], { ...plain, critical: true }), undefined);
  assert.equal(refusalUnderPressure(['MemoryPressure'], plain), undefined);
  assert.notEqual(refusalUnderPressure(['MemoryPressure'], { ...plain, bestEffort: true }), undefined);
  assert.equal(refusalUnderPressure([], plain), undefined);
  assert.deepEqual(refusalUnderPressure(['MemoryPressure', 'DiskPressure'], plain), {
    reason: 'Evicted',
    message: 'The node had condition: [MemoryPressure DiskPressure]. ',
  });
});

test('any eviction fields are read or refused with a code', () => {
  const texts = fc.oneof(
    fc.constantFrom('1Gi', '5%', '0%', '1m', '', '%', '-3', '1e9'),
    fc.string({ maxLength: 6 }),
  );
  const maps = fc.dictionary(fc.constantFrom(...EVICTION_SIGNALS, 'x', '__proto__'), texts, { maxKeys: 4 });
  const fields: fc.Arbitrary<EvictionFields> = fc.record({
    evictionHard: maps,
    evictionSoft: maps,
    evictionSoftGracePeriod: maps,
    evictionMinimumReclaim: maps,
  });
  fc.assert(
    fc.property(fields, (given) => {
      try {
        const thresholds = parseEvictionThresholds(given);
        evictionRound(CALM, thresholds, seen({ 'imagefs.available': 1 }), 0);
      } catch (error) {
        assert.ok(error instanceof EvictionConfigError, String(error));
      }
    }),
    FUZZ,
  );
});

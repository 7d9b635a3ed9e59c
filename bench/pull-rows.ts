import type { ImageShape } from './pull-images.ts';
import type { Measured } from './pull-measure.ts';
import { median, type Row } from './row.ts';

/** The most memory that a pull may hold. */
const MEMORY_LIMIT = 250e6;
const LOOP_DELAY_LIMIT_MS = 50;

/** What of another program's time this one may take; asked of memory-backed directories only. */
const TARGETS = { containerd: 0.25, podman: 0.2, tar: 0.65, skopeo: 1 } as const;

/** The runs of one image in one place, by the name of what ran. */
export interface ShapeRuns {
  readonly shape: ImageShape;
  readonly scale: number;
  /** Where the directories of the pulls lie. */
  readonly place: 'memory' | 'disk';
  readonly runs: ReadonlyMap<string, readonly Measured[]>;
  /** Why something did not run to its end. */
  readonly failures: ReadonlyMap<string, string>;
  /** 99th percentile of the event loop's delay in milliseconds; absent when it was not measured. */
  readonly loopDelayMs?: number;
}

export function rowsOf(measured: ShapeRuns): Row[] {
  const { shape, scale, place, loopDelayMs } = measured;
  const what = `${shape.name} (${shape.layers} ${shape.layers === 1 ? 'layer' : 'layers'}, ${Math.round(shape.files * scale)} files, ${Math.round((shape.bytes * scale) / 1e6)} MB), ${place}`;
  const rows = [
    factsRow(`${what}: dray pull`, 'dray', measured),
    factsRow(`${what}: dray pull from its own registry`, 'dray, own registry', measured),
    memoryRow(`${what}: resident memory of dray pull`, measured.runs.get('dray') ?? []),
    ...(loopDelayMs === undefined
      ? []
      : [
          {
            what: `${what}: event loop delay of dray pull, p99`,
            measured: `${loopDelayMs.toFixed(1)} ms`,
            target: `< ${LOOP_DELAY_LIMIT_MS} ms`,
            met: loopDelayMs < LOOP_DELAY_LIMIT_MS,
          },
        ]),
    besideRow(what, 'dray', 'containerd', measured),
    besideRow(what, 'dray', 'podman', measured),
    besideRow(what, 'dray', 'tar', measured),
    factsRow(`${what}: dray copy to a layout`, 'dray copy', measured),
    besideRow(what, 'dray copy', 'skopeo', measured),
  ];
  return rows;
}

function factsRow(what: string, name: string, { runs, failures }: ShapeRuns): Row {
  const own = runs.get(name) ?? [];
  if (own.length === 0) return { what, measured: '-', note: failures.get(name) ?? 'was not measured' };
  return { what, measured: facts(middle(own)) };
}

function besideRow(what: string, of: string, name: keyof typeof TARGETS, measured: ShapeRuns): Row {
  const { runs, failures, place } = measured;
  const title = `${what}: ${of} beside ${name}`;
  const own = runs.get(of) ?? [];
  const their = runs.get(name) ?? [];
  if (own.length === 0 || their.length === 0) {
    const note = failures.get(of) ?? failures.get(name) ?? `${name} is not on this machine`;
    return { what: title, measured: '-', note: note.replaceAll(/\s+/g, ' ') };
  }
  const ratio = middle(own).seconds / middle(their).seconds;
  const target = TARGETS[name];
  return {
    what: title,
    measured: `${ratio.toFixed(2)}×`,
    ...(place === 'memory' ? { target: `≤ ${target}×`, met: ratio <= target } : {}),
    note: `${name}: ${facts(middle(their))}`,
  };
}

function memoryRow(what: string, runs: readonly Measured[]): Row {
  if (runs.length === 0) return { what, measured: '-' };
  const most = Math.max(...runs.map(({ residentBytes }) => residentBytes));
  return {
    what,
    measured: `${(most / 1e6).toFixed(0)} MB`,
    target: `< ${MEMORY_LIMIT / 1e6} MB`,
    met: most < MEMORY_LIMIT,
  };
}

function middle(runs: readonly Measured[]): Measured {
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
    residentBytes: median(runs.map(({ residentBytes }) => residentBytes)),
  };
}

function facts({ seconds, cpuSeconds, residentBytes }: Measured): string {
  return `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of processor, ${(residentBytes / 1e6).toFixed(0)} MB`;
}

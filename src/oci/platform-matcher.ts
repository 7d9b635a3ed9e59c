import { normalizeArchitecture, normalizePlatform, type Platform } from './platform.ts';
import { runsWindowsVersion } from './windows-version.ts';

/** Decides which platforms run on a host, and which of two is preferred. */
export interface PlatformMatcher {
  readonly name: string;
  matches(platform: Platform): boolean;
  /** Orders platforms: negative when `a` is preferred. What does not match comes last. */
  compare(a: Platform, b: Platform): number;
}

/** Accepts exactly the host's own platform: containerd's default for pulls, and its strict variant (rules 15.5, 15.11, 15.18). */
export function exactMatcher(host: Platform, hostOs?: string): PlatformMatcher {
  return matcherOf('exact', [normalizePlatform(host, hostOs)], hostOs);
}

/** Accepts the host's platform and those that it also runs, the best first (rules 15.8 to 15.10). */
export function fallbackMatcher(host: Platform, hostOs?: string): PlatformMatcher {
  return matcherOf('fallback', platformVector(host, hostOs), hostOs);
}

function matcherOf(name: string, vector: readonly Platform[], hostOs: string | undefined): PlatformMatcher {
  const place = (platform: Platform): number => {
    const normalized = normalizePlatform(platform, hostOs);
    const index = vector.findIndex((host) => runs(host, normalized));
    return index < 0 ? vector.length : index;
  };
  return {
    name,
    matches: (platform) => place(platform) < vector.length,
    compare: (a, b) => {
      const placeA = place(a);
      const placeB = place(b);
      if (placeA !== placeB || placeA === vector.length) return placeA - placeB;
      return compareVersions(vector[placeA], a, b) || featureCount(b) - featureCount(a);
    },
  };
}

/** Tells whether one host platform runs an entry (rule 15.5); both are normalised. */
function runs(host: Platform, entry: Platform): boolean {
  if (host.os !== entry.os || host.architecture !== entry.architecture) return false;
  if ((host.variant ?? '') !== (entry.variant ?? '')) return false;
  const windows = host.os === 'windows';
  if (windows && !runsWindowsVersion(host['os.version'] ?? '', entry['os.version'] ?? '')) return false;
  const offered = host['os.features'] ?? [];
  return (entry['os.features'] ?? []).every(
    (feature) => offered.includes(feature) || (windows && feature === 'win32k'),
  );
}

/** Windows entries: the later version first, compared as text (rule 15.7). */
function compareVersions(host: Platform | undefined, a: Platform, b: Platform): number {
  if (host?.os !== 'windows') return 0;
  const versionA = a['os.version'] ?? '';
  const versionB = b['os.version'] ?? '';
  if (versionA === versionB) return 0;
  return versionA > versionB ? -1 : 1;
}

function featureCount(platform: Platform): number {
  return platform['os.features']?.length ?? 0;
}

/** Lists what a host runs, most preferred first; empty for an ARM64 variant that nobody knows (rules 15.8 to 15.10). */
export function platformVector(host: Platform, hostOs?: string): readonly Platform[] {
  const platform = normalizePlatform(host, hostOs);
  return fallbacks(platform.architecture, platform.variant ?? '').map(([architecture, variant]) => {
    const { variant: shown } = normalizeArchitecture(architecture, variant);
    const { variant: _own, ...rest } = platform;
    return { ...rest, architecture, ...(shown === '' ? {} : { variant: shown }) };
  });
}

type Step = readonly [architecture: string, variant: string];

function fallbacks(architecture: string, variant: string): Step[] {
  switch (architecture) {
    case 'amd64':
      return [[architecture, variant], ...numbered('amd64', below(variant), 1), ['386', '']];
    case 'arm':
      return [[architecture, variant], ...numbered('arm', below(variant), 5)];
    case 'arm64':
      return arm64Fallbacks(variant === '' ? 'v8' : variant);
    default:
      return [[architecture, variant]];
  }
}

/** The version just under `v7`, 6; NaN for what is no such variant. */
function below(variant: string): number {
  return /^v?\d+$/.test(variant) ? Number(variant.replace('v', '')) - 1 : Number.NaN;
}

function numbered(architecture: string, from: number, to: number): Step[] {
  const steps: Step[] = [];
  for (let version = from; version >= to; version--) steps.push([architecture, `v${version}`]);
  return steps;
}

/** Highest minor versions of ARMv8-A and ARMv9-A that are known. */
const LAST_ARM_V8_MINOR = 9;
const LAST_ARM_V9_MINOR = 7;
/** ARMv9.x contains ARMv8.(x+5). */
const ARM_V9_OFFSET = 5;

function arm64Fallbacks(variant: string): Step[] {
  const match = /^v([89])(?:\.([1-9]))?$/.exec(variant);
  if (match === null) return [];
  const minor = Number(match[2] ?? 0);
  const nine = match[1] === '9';
  if (nine && minor > LAST_ARM_V9_MINOR) return [];
  const eight = nine ? Math.min(minor + ARM_V9_OFFSET, LAST_ARM_V8_MINOR) : minor;
  return [...(nine ? minors('v9', minor) : []), ...minors('v8', eight), ...numbered('arm', 8, 5)];
}

function minors(major: string, from: number): Step[] {
  const steps: Step[] = [];
  for (let minor = from; minor >= 1; minor--) steps.push(['arm64', `${major}.${minor}`]);
  return [...steps, ['arm64', major]];
}

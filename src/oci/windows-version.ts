/** Builds of Windows Server from which on later hosts run older containers, ascending (rule 15.6). */
const LONG_TERM_BUILDS: readonly number[] = [20348, 26100];
/** First build whose hosts run containers of other builds. */
const FIRST_COMPATIBLE_BUILD = 20348;

interface WindowsVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

/** Reads `major.minor.build[.revision]`; anything shorter is version 0. */
function parseWindowsVersion(text: string): WindowsVersion {
  const parts = text.split('.');
  if (parts.length < 3) return { major: 0, minor: 0, build: 0 };
  const number = (part: string | undefined): number =>
    part !== undefined && /^\d+$/.test(part) ? Number(part) : 0;
  return { major: number(parts[0]), minor: number(parts[1]), build: number(parts[2]) };
}

/** Tells whether a Windows host of one version runs containers of another; an empty version fits all (rule 15.6). */
export function runsWindowsVersion(host: string, container: string): boolean {
  if (host === '' || container === '') return true;
  const h = parseWindowsVersion(host);
  const c = parseWindowsVersion(container);
  if (h.major !== c.major || h.minor !== c.minor) return false;
  if (h.build < FIRST_COMPATIBLE_BUILD) return h.build === c.build;
  const oldest = LONG_TERM_BUILDS.findLast((build) => build < h.build) ?? FIRST_COMPATIBLE_BUILD;
  return c.build >= oldest && c.build <= h.build;
}

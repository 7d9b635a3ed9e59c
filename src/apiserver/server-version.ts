/** The Kubernetes minor version whose API this server speaks; clients compare their own with it. */
export const KUBERNETES_VERSION = 'v1.36.2';

/** Returns the body of `GET /version`. The build metadata behind `+` says that this is not upstream's server. */
export function serverVersion(): object {
  return {
    major: '1',
    minor: '36',
    emulationMajor: '1',
    emulationMinor: '36',
    minCompatibilityMajor: '1',
    minCompatibilityMinor: '35',
    gitVersion: `${KUBERNETES_VERSION}+drayage`,
    gitCommit: '',
    gitTreeState: '',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: `node ${process.versions.node}`,
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}

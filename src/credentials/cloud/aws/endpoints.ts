import type { CloudContext } from '../cloud-request.ts';
import type { AwsProfile } from './shared-config.ts';

export type AwsService = 'ecr' | 'ecr-public' | 'sts';

/** Domain of each partition by the beginning of its region names. @see AWS SDK partitions */
const PARTITIONS: readonly (readonly [regionPrefix: string, domain: string])[] = [
  ['cn-', 'amazonaws.com.cn'],
  ['us-isob-', 'sc2s.sgov.gov'],
  ['us-isof-', 'csp.hci.ic.gov'],
  ['us-iso-', 'c2s.ic.gov'],
  ['eu-isoe-', 'cloud.adc-e.uk'],
  ['eusc-', 'amazonaws.eu'],
];

/**
 * Returns the URL of a service: `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL`, then the profile's `endpoint_url`, then
 * the public one of the region.
 */
export function awsEndpoint(
  context: CloudContext,
  service: AwsService,
  region: string,
  options: { fips: boolean; profile: AwsProfile | undefined },
): string {
  const { environment } = context;
  if (environment['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] !== 'true') {
    const own = environment[`AWS_ENDPOINT_URL_${service.toUpperCase().replaceAll('-', '_')}`];
    const configured = own ?? environment['AWS_ENDPOINT_URL'] ?? options.profile?.get('endpoint_url') ?? '';
    if (configured !== '') return configured.endsWith('/') ? configured : `${configured}/`;
  }
  const domain = PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'amazonaws.com';
  const fips = options.fips || environment['AWS_USE_FIPS_ENDPOINT'] === 'true';
  if (service === 'sts') return `https://sts${fips ? '-fips' : ''}.${region}.${domain}/`;
  if (service === 'ecr' && fips) return `https://ecr-fips.${region}.${domain}/`;
  return `https://api.${service}.${region}.${domain}/`;
}

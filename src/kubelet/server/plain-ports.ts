import {
  ConfigurationError,
  ConfigurationFields,
  type KubeletConfigurationDocument,
} from '../images/configuration-fields.ts';

/** The kubelet's own port of `/healthz`, for those who name only its address. */
const USUAL_HEALTH_PORT = 10248;

const THIS_MACHINE = '127.0.0.1';

/** A port on which a node speaks plain HTTP to everybody who reaches it. */
export interface PlainPort {
  readonly host: string;
  readonly port: number;
  /** `health`: `/healthz` alone; `numbers`: `/metrics` and `/pulls` too. */
  readonly serves: 'health' | 'numbers';
}

/**
 * Takes the ports without TLS out of a KubeletConfiguration. There are none unless it names them: several nodes share a machine. The
 * read-only port is one of this machine alone.
 *
 * @throws ConfigurationError `INVALID` with the kubelet's texts, `BAD_FIELD`
 */
export function plainPortsOf(document: KubeletConfigurationDocument): readonly PlainPort[] {
  const given = new ConfigurationFields(document);
  const address = given.string('healthzBindAddress') ?? '';
  const health = given.integer('healthzPort') ?? (address === '' ? 0 : USUAL_HEALTH_PORT);
  const readOnly = given.integer('readOnlyPort') ?? 0;
  check(health, `healthzPort (--healthz-port) ${health} must be between 1 and 65535, inclusive`);
  check(readOnly, `readOnlyPort (--read-only-port) ${readOnly} must be between 0 and 65535, inclusive`);
  const ports: readonly PlainPort[] = [
    { host: address === '' ? THIS_MACHINE : address, port: health, serves: 'health' },
    { host: THIS_MACHINE, port: readOnly, serves: 'numbers' },
  ];
  return ports.filter(({ port }) => port !== 0);
}

function check(port: number, problem: string): void {
  if (port < 0 || port > 65_535) throw new ConfigurationError('INVALID', `invalid configuration: ${problem}`);
}

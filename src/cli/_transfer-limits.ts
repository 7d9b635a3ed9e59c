import { InvalidArgumentError, type Command } from 'commander';
import type { TransferLimits } from '../daemon/node-stores.ts';
import { MIN_BYTES_PER_SECOND } from '../remote/bandwidth.ts';

/** Options that bound what pulls take of a machine and its network. */
export interface TransferOptions {
  readonly maxDownloads?: number;
  readonly maxDownloadsPerRegistry?: number;
  readonly maxBandwidth?: number;
}

/** Variables by which a machine sets the same for every command. */
const VARIABLES = {
  maxDownloads: 'DRAYAGE_MAX_DOWNLOADS',
  maxDownloadsPerRegistry: 'DRAYAGE_MAX_DOWNLOADS_PER_REGISTRY',
  maxBandwidth: 'DRAYAGE_MAX_BANDWIDTH',
} as const;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
};

/** Adds the options; what they are not given, the environment may say. */
export function withTransferLimits(command: Command): Command {
  return command
    .option(
      '--max-downloads <number>',
      `layers that are downloaded at a time (default: $${VARIABLES.maxDownloads}, else 3)`,
      countOf,
    )
    .option(
      '--max-downloads-per-registry <number>',
      `of these, so many of one registry (default: $${VARIABLES.maxDownloadsPerRegistry}, else no limit)`,
      countOf,
    )
    .option(
      '--max-bandwidth <bytes>',
      `bytes of layers a second of all pulls together, such as 500k, 10M, 8Mi (default: $${VARIABLES.maxBandwidth}, else no limit)`,
      bandwidthOf,
    );
}

/** Returns the limits in force. @throws InvalidArgumentError for an environment that says nonsense */
export function transferLimits(
  options: TransferOptions,
  environment: NodeJS.ProcessEnv = process.env,
): TransferLimits {
  const told = <T>(
    name: keyof typeof VARIABLES,
    given: T | undefined,
    parse: (text: string) => T,
  ): T | undefined => {
    const text = environment[VARIABLES[name]] ?? '';
    if (given !== undefined || text === '') return given;
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw new InvalidArgumentError(`$${VARIABLES[name]} is ${JSON.stringify(text)}: ${error.message}`);
    }
  };
  const parallelDownloads = told('maxDownloads', options.maxDownloads, countOf);
  const perRegistry = told('maxDownloadsPerRegistry', options.maxDownloadsPerRegistry, countOf);
  const bytesPerSecond = told('maxBandwidth', options.maxBandwidth, bandwidthOf);
  return {
    ...(parallelDownloads === undefined ? {} : { parallelDownloads }),
    ...(perRegistry === undefined ? {} : { parallelDownloadsPerRegistry: perRegistry }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

function countOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000)
    throw new InvalidArgumentError('a number from 1 to 1000 is expected.');
  return count;
}

function bandwidthOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]i?)?b?(?:\/s)?$/i.exec(text.trim());
  const bytes = Number(match?.[1]) * (UNITS[(match?.[2] ?? '').toLowerCase()] ?? Number.NaN);
  if (!(bytes >= MIN_BYTES_PER_SECOND))
    throw new InvalidArgumentError(
      `bytes a second are expected, such as 500k, 10M or 8Mi, at least ${MIN_BYTES_PER_SECOND}.`,
    );
  return Math.floor(bytes);
}

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../../base/coded-error.ts';
import type { RegistryOptions } from '../registry.ts';
import { trustedProxies } from '../http/client-address.ts';
import type { TokenIssuer } from '../identity/service-account-tokens.ts';
import type { Upstream } from '../proxy/upstreams.ts';
import type { Webhook } from '../webhooks/webhook-sender.ts';
import { fetchKeys } from './jwks.ts';
import { registryConfigSchema, type RegistryConfig } from './registry-config.ts';

/** Something in a configuration that is wrong or that its writer should know. */
export interface ConfigFinding {
  readonly level: 'error' | 'warning';
  /** Where: `upstreams.0.passwordFile`. */
  readonly at: string;
  readonly message: string;
}

export interface LoadedConfig {
  /** Undefined when there is an error among the findings. */
  readonly options: RegistryOptions | undefined;
  /** Clusters that retention has to ask; who can speak to them makes `maintenance.inUse` of it. */
  readonly clusters: readonly { readonly kubeconfig: string; readonly context?: string }[];
  readonly findings: readonly ConfigFinding[];
}

/**
 * Turns a parsed configuration file into options, reading the files that it names; names are relative to the file itself.
 * Finds everything that is wrong at once and starts nothing.
 *
 * @param value the parsed YAML or JSON
 * @param file path of the configuration file
 */
export async function loadRegistryConfig(value: unknown, file: string): Promise<LoadedConfig> {
  const parsed = registryConfigSchema.safeParse(value);
  if (!parsed.success) {
    const findings = parsed.error.issues.map((issue) => error(issue.path.join('.'), issue.message));
    return { options: undefined, clusters: [], findings };
  }
  const findings: ConfigFinding[] = [];
  const reader = new FileReader(dirname(resolve(file)), findings);
  const config = parsed.data;
  checkNames(config, findings);
  const upstreams = await Promise.all(config.upstreams.map((one, place) => upstreamOf(one, place, reader)));
  const tokenIssuers = await Promise.all(
    config.tokenIssuers.map((one, place) => issuerOf(one, place, reader)),
  );
  const webhooks = await Promise.all(config.webhooks.map((one, place) => webhookOf(one, place, reader)));
  const tls = config.tls && (await tlsOf(config.tls, reader));
  if (config.htpasswd !== undefined) await reader.read('htpasswd.file', config.htpasswd.file);
  checkExposure(config, findings);
  checkProxies(config, findings);
  const clusters = await Promise.all(
    config.maintenance.clusters.map((one, place) => clusterOf(one, place, reader)),
  );
  if (findings.some(({ level }) => level === 'error')) return { options: undefined, clusters, findings };
  const { limits, maintenance, htpasswd } = config;
  const hours = (count: number): number => count * 3_600_000;
  const options: RegistryOptions = {
    directory: reader.path(config.directory),
    host: config.listen.host,
    port: config.listen.port,
    auth: config.auth,
    sparseIndexes: config.sparseIndexes,
    deletes: config.deletes,
    upstreams,
    tokenIssuers,
    webhooks,
    ...(tls === undefined ? {} : { tls }),
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
    ...(config.serviceName === undefined ? {} : { serviceName: config.serviceName }),
    ...(htpasswd === undefined
      ? {}
      : {
          htpasswd: {
            path: reader.path(htpasswd.file),
            ...(htpasswd.role === undefined ? {} : { role: htpasswd.role }),
          },
        }),
    ...(limits.concurrentPerClient === undefined ? {} : { concurrentPerClient: limits.concurrentPerClient }),
    trustedProxies: limits.trustedProxies,
    ...(limits.closeGraceSeconds === undefined ? {} : { closeGraceMs: limits.closeGraceSeconds * 1000 }),
    maintenance: {
      ...(maintenance.everyHours === undefined ? {} : { everyMs: hours(maintenance.everyHours) }),
      ...(maintenance.delayHours === undefined ? {} : { delayMs: hours(maintenance.delayHours) }),
      ...(maintenance.uploadAgeHours === undefined ? {} : { uploadAgeMs: hours(maintenance.uploadAgeHours) }),
      ...(maintenance.auditDays === undefined ? {} : { auditKeepMs: hours(maintenance.auditDays * 24) }),
    },
  };
  return { options, clusters, findings };
}

async function clusterOf(
  config: RegistryConfig['maintenance']['clusters'][number],
  place: number,
  reader: FileReader,
): Promise<{ kubeconfig: string; context?: string }> {
  await reader.read(`maintenance.clusters.${place}.kubeconfig`, config.kubeconfig);
  const kubeconfig = reader.path(config.kubeconfig);
  return config.context === undefined ? { kubeconfig } : { kubeconfig, context: config.context };
}

function checkProxies(config: RegistryConfig, findings: ConfigFinding[]): void {
  for (const [place, text] of config.limits.trustedProxies.entries()) {
    try {
      trustedProxies([text]);
    } catch (cause) {
      findings.push(error(`limits.trustedProxies.${place}`, messageOf(cause)));
    }
  }
}

class FileReader {
  readonly #base: string;
  readonly #findings: ConfigFinding[];

  constructor(base: string, findings: ConfigFinding[]) {
    this.#base = base;
    this.#findings = findings;
  }

  path(name: string): string {
    return resolve(this.#base, name);
  }

  /** Reads a file; one that cannot be read is a finding, and its text is empty. */
  async read(at: string, name: string): Promise<string> {
    try {
      return await readFile(this.path(name), 'utf8');
    } catch (cause) {
      this.#findings.push(error(at, messageOf(cause)));
      return '';
    }
  }

  async optional(at: string, name: string | undefined): Promise<string | undefined> {
    return name === undefined ? undefined : this.read(at, name);
  }

  fail(at: string, message: string): void {
    this.#findings.push(error(at, message));
  }
}

async function upstreamOf(
  config: RegistryConfig['upstreams'][number],
  place: number,
  reader: FileReader,
): Promise<Upstream> {
  const at = `upstreams.${place}`;
  const { prefix, registry, url, username, recheckSeconds } = config;
  const ca = await reader.optional(`${at}.caFile`, config.caFile);
  const password = (await reader.optional(`${at}.passwordFile`, config.passwordFile))?.trimEnd();
  if ((username === undefined) !== (password === undefined)) {
    reader.fail(at, 'username and passwordFile belong together');
  }
  return {
    prefix,
    registry,
    ...(url === undefined ? {} : { url }),
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(username === undefined || password === undefined ? {} : { credential: { username, password } }),
    ...(recheckSeconds === undefined ? {} : { recheckMs: recheckSeconds * 1000 }),
  };
}

async function issuerOf(
  config: RegistryConfig['tokenIssuers'][number],
  place: number,
  reader: FileReader,
): Promise<TokenIssuer> {
  const at = `tokenIssuers.${place}`;
  const { issuer, audience, keysFile, keysUrl } = config;
  if ((keysFile === undefined) === (keysUrl === undefined))
    reader.fail(at, 'has to have keysFile or keysUrl');
  const ca = await reader.optional(`${at}.caFile`, config.caFile);
  if (keysFile !== undefined) await reader.read(`${at}.keysFile`, keysFile);
  const rules = config.rules.map(({ serviceAccount, ...rule }) =>
    serviceAccount === undefined ? rule : { ...rule, serviceAccount },
  );
  const source = {
    ...(keysFile === undefined ? {} : { file: reader.path(keysFile) }),
    ...(keysUrl === undefined ? {} : { url: keysUrl }),
    ...(ca === undefined ? {} : { ca }),
    ...(config.tokenFile === undefined ? {} : { tokenFile: reader.path(config.tokenFile) }),
  };
  return { issuer, audience, rules, keys: (signal) => fetchKeys(source, signal) };
}

async function webhookOf(
  config: RegistryConfig['webhooks'][number],
  place: number,
  reader: FileReader,
): Promise<Webhook> {
  const secret = (await reader.optional(`webhooks.${place}.secretFile`, config.secretFile))?.trimEnd();
  const { name, url, events } = config;
  return {
    name,
    url,
    ...(secret === undefined ? {} : { secret }),
    ...(events === undefined ? {} : { events }),
  };
}

async function tlsOf(
  config: NonNullable<RegistryConfig['tls']>,
  reader: FileReader,
): Promise<{ certFile: string; keyFile: string }> {
  const cert = await reader.read('tls.certFile', config.certFile);
  const key = await reader.read('tls.keyFile', config.keyFile);
  if (cert !== '' && key !== '') {
    try {
      process.getBuiltinModule('node:tls').createSecureContext({ cert, key });
    } catch (cause) {
      reader.fail('tls', `certificate and key cannot be used: ${messageOf(cause)}`);
    }
  }
  return { certFile: reader.path(config.certFile), keyFile: reader.path(config.keyFile) };
}

function checkNames(config: RegistryConfig, findings: ConfigFinding[]): void {
  const lists: [at: string, names: string[]][] = [
    ['upstreams', config.upstreams.map(({ prefix }) => prefix)],
    ['webhooks', config.webhooks.map(({ name }) => name)],
    ['tokenIssuers', config.tokenIssuers.map(({ issuer }) => issuer)],
  ];
  for (const [at, names] of lists) {
    for (const [place, name] of names.entries()) {
      if (names.indexOf(name) !== place) findings.push(error(`${at}.${place}`, `"${name}" is there twice`));
    }
  }
}

/** Warns of what is right but dangerous. */
function checkExposure(config: RegistryConfig, findings: ConfigFinding[]): void {
  const { host } = config.listen;
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return;
  if (config.auth === 'none') {
    findings.push({
      level: 'warning',
      at: 'auth',
      message: `everybody who reaches ${host} may do everything`,
    });
  }
  if (config.tls === undefined && config.publicUrl?.startsWith('https:') !== true) {
    findings.push({
      level: 'warning',
      at: 'tls',
      message: `passwords cross the network to ${host} in the clear`,
    });
  }
}

function error(at: string, message: string): ConfigFinding {
  return { level: 'error', at, message };
}

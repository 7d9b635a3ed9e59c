import { isIP } from 'node:net';

/*
 * Whether a registry's credential may be shown to a token service. A registry names its token service itself, so a hostile
 * or broken one could send our password anywhere (CVE-2026-33540 was that). The service must belong to the registry's own domain.
 */

/** Domains under which strangers get names: sharing one proves nothing, so only the very same host is trusted there. */
const SHARED_SUFFIXES: readonly string[] = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'azurecr.io',
  'azurewebsites.net',
  'azure.com',
  'cloudfront.net',
  'pkg.dev',
  'run.app',
  'appspot.com',
  'web.app',
  'herokuapp.com',
  'github.io',
  'gitlab.io',
  'netlify.app',
  'vercel.app',
  'fly.dev',
  'workers.dev',
  'pages.dev',
  'ngrok.io',
  'ngrok.app',
  'ngrok-free.app',
  'trycloudflare.com',
  'nip.io',
  'sslip.io',
  'duckdns.org',
  'dyndns.org',
  'home.arpa',
  'cluster.local',
  'svc.local',
];

/** Top-level names that no registrar hands out: `a.local` and `b.local` may be two owners. */
const UNREGISTERED_TOP = new Set(['local', 'localhost', 'internal', 'lan', 'home', 'corp', 'test', 'svc']);

/**
 * Tells whether a credential given for `registry` may be sent to `realm`: same host, both on this machine, or the same
 * registered domain; never from https down to http, unless on this machine.
 *
 * @param registry where the challenge came from: `https://registry.example:5000`
 * @param realm the token service's URL
 */
export function mayShowCredential(registry: URL, realm: URL): boolean {
  if (realm.protocol !== 'https:' && realm.protocol !== 'http:') return false;
  if (isLoopback(registry.hostname) && isLoopback(realm.hostname)) return true;
  if (registry.protocol === 'https:' && realm.protocol === 'http:') return false;
  if (registry.hostname === realm.hostname) return true;
  const domain = registeredDomain(registry.hostname);
  return domain !== undefined && domain === registeredDomain(realm.hostname);
}

/** Tells whether a host name means this machine: `localhost`, `127.0.0.0/8`, `[::1]`. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** Returns the part of a name that one owner registered, judged cautiously without a list of all public suffixes. */
function registeredDomain(hostname: string): string | undefined {
  const name = hostname.replace(/\.$/, '').toLowerCase();
  if (isIP(name.replace(/^\[|\]$/g, '')) !== 0) return undefined;
  const labels = name.split('.');
  const top = labels.at(-1) ?? '';
  const second = labels.at(-2) ?? '';
  if (labels.length < 2 || UNREGISTERED_TOP.has(top)) return undefined;
  if (SHARED_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))) return undefined;
  // `co.uk`, `com.au`, `ne.jp`: a short name under a country is itself a registry's suffix.
  const wanted = top.length === 2 && second.length <= 3 ? 3 : 2;
  return labels.length < wanted ? undefined : labels.slice(-wanted).join('.');
}

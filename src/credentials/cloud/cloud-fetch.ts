import type { IncomingMessage } from 'node:http';
import type { CloudFetch, CloudInit } from './cloud-request.ts';

/**
 * Makes the HTTP client of a plug-in. It stands on `node:http`, since loading `fetch` takes longer than all the rest of a
 * plug-in's start. Where the environment names a proxy, undici's client is loaded; this machine and its link (metadata
 * services) are never asked by a proxy.
 */
export function cloudFetch(environment: Readonly<Record<string, string | undefined>>): CloudFetch {
  const proxy = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? '';
  const httpProxy = proxy('http_proxy');
  const httpsProxy = proxy('https_proxy');
  if (httpProxy === '' && httpsProxy === '') return direct;
  let proxied: Promise<CloudFetch> | undefined;
  return async (url, init) => {
    if (isLocal(new URL(url).hostname)) return direct(url, init);
    proxied ??= import('undici').then(({ EnvHttpProxyAgent, fetch }) => {
      const dispatcher = new EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: proxy('no_proxy') });
      return (target, request) => fetch(target, { ...request, dispatcher });
    });
    return (await proxied)(url, init);
  };
}

const direct: CloudFetch = async (url, init) => {
  // Not imported: an import of node:http evaluates all its exports, one of which loads the whole of fetch.
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = init.body === undefined ? init.headers : withLength(init.headers, init.body);
    // No agent: a plug-in makes few requests, and an idle connection would only delay its end.
    const sent = request(url, { method: init.method, headers, signal: init.signal, agent: false }, resolve);
    sent.once('error', reject);
    sent.end(init.body);
  });
  return {
    status: response.statusCode ?? 0,
    headers: {
      get: (name) => {
        const value = response.headers[name.toLowerCase()];
        return Array.isArray(value) ? value.join(', ') : (value ?? null);
      },
    },
    body: response,
  };
};

function withLength(headers: CloudInit['headers'], body: string): Record<string, string> {
  return { ...headers, 'content-length': String(Buffer.byteLength(body)) };
}

function isLocal(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '[::1]' ||
    host === 'metadata.google.internal.' ||
    /^(?:127\.|169\.254\.|\[fd00:ec2:)/.test(host)
  );
}
